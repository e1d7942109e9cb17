"""ASGI middleware, outermost first: request id; metrics, log line and trace; errors as problems.

Not Starlette's BaseHTTPMiddleware: it runs every request in an extra task and hides the client's disconnect.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Set
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import MethodNotAllowed, NoSuchRoute, ShuttingDown
from service.http.body import BODY_ENDED
from service.http.fast_path import TEMPLATE
from service.http.problems import INTERNAL, kind_of, problem_response
from service.http.request_id import HEADER, request_id_of
from service.logs import add_log_fields, log_fields
from service.metrics.metrics import Metrics
from service.tracing.recording import Recording
from service.tracing.traces import Traces

METHODS = frozenset({"GET", "POST"})
OTHER_METHOD = "other"
UNMATCHED = "unmatched"

_log = structlog.get_logger()


class RequestId:
    """Takes the client's `X-Request-ID` if well-formed, else a new id; adds it to the response and the log lines."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        header = (HEADER, request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        return await self._app(scope, receive, send_with_id)


class Observe:
    """Counts, times, logs and traces every response by its route."""

    def __init__(self, app: ASGIApp, metrics: Metrics, traces: Traces, routes: Set[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._traces = traces
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, code, recording = time.perf_counter(), INTERNAL.status, self._traces.begin(scope)
        self._metrics.request_began()

        async def send_observed(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            return await self._app(scope, receive, send_observed)
        finally:
            self._metrics.request_ended()
            self._record(scope, code, started, recording)

    def _record(self, scope: Scope, code: int, started: float, recording: Recording | None) -> None:
        now = time.perf_counter()
        template = str(scope.get(TEMPLATE) or getattr(scope.get("route"), "path", ""))
        route = template if template in self._routes else UNMATCHED
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        trace_id = None if recording is None else recording.trace_id
        self._metrics.record_request(route, method, code, now - scope.get(BODY_ENDED, started), trace_id)
        fields = log_fields(scope)
        _log.info("request", route=route, method=method, code=code, seconds=round(now - started, 4), **fields)
        if recording is not None:
            _end_trace(recording, route, method, code, fields)


class Problems:
    """Responds to every error with a problem from `problems.TABLE`. An unknown error is raised again, to be logged."""

    def __init__(self, app: ASGIApp, on_error: Callable[[str], None] = lambda _reason: None) -> None:
        self._app = app
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def send_tracked(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            return await self._app(scope, receive, send_tracked)
        except asyncio.CancelledError:
            # Only the server cancels a request: when the drain time is over.
            await self._respond(ShuttingDown(), started, scope, receive, send)
        except Exception as error:
            await self._respond(error, started, scope, receive, send)
            if kind_of(error) is INTERNAL:
                raise

    async def _respond(self, error: Exception, started: bool, scope: Scope, receive: Receive, send: Send) -> None:
        code = kind_of(error).code
        self._on_error(code)
        add_log_fields(scope, problem=code)
        if not started:
            await problem_response(error, scope)(scope, receive, send)


async def translate(_request: Request, error: Exception) -> Response:
    """An exception handler that converts Starlette's errors to service errors; `Problems` responds to them."""
    status = getattr(error, "status_code", None)
    if status == 404:
        raise NoSuchRoute
    if status == 405:
        raise MethodNotAllowed(dict(getattr(error, "headers", None) or {}).get("Allow", ""))
    raise error


def _end_trace(recording: Recording, route: str, method: str, code: int, fields: Mapping[str, Any]) -> None:
    """End the trace with OpenTelemetry's HTTP attributes, except those that a client writes (path, query, address)."""
    known = method in METHODS
    recording.set_attributes({"http.request.method": method if known else "_OTHER", "http.response.status_code": code})
    if route != UNMATCHED:
        recording.set_attributes({"http.route": route})
    if "tickets" in fields:
        recording.set_attributes({"ticket_router.tickets": fields["tickets"]})
    name = " ".join((method if known else "HTTP", *([route] if route != UNMATCHED else [])))
    recording.end(name, problem=fields.get("problem"), failed=code >= INTERNAL.status)
