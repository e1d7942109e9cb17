"""Pure ASGI middleware, outermost first: the request's id; its count, log line and trace; its errors.

No BaseHTTPMiddleware: it wraps every request in tasks of its own and hides the client's hanging up.
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
    """Takes a well-formed `X-Request-ID` or makes one; the answer and every log line carry it."""

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
    """Counts, times, logs and traces every answer under its route's template."""

    def __init__(self, app: ASGIApp, metrics: Metrics, traces: Traces, routes: Set[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._traces = traces
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, code, recording = time.perf_counter(), INTERNAL.status, self._traces.begin(scope)

        async def send_observed(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            return await self._app(scope, receive, send_observed)
        finally:
            self._record(scope, code, started, recording)

    def _record(self, scope: Scope, code: int, started: float, recording: Recording | None) -> None:
        now = time.perf_counter()
        template = str(scope.get(TEMPLATE) or getattr(scope.get("route"), "path", ""))
        route = template if template in self._routes else UNMATCHED
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        self._metrics.record_request(route, method, code, now - scope.get(BODY_ENDED, started))
        said = log_fields(scope)
        _log.info("request", route=route, method=method, code=code, seconds=round(now - started, 4), **said)
        if recording is not None:
            _end(recording, route, method, code, said)


class Problems:
    """Answers every error with a problem from the one table. An unknown one is raised further, to the log."""

    def __init__(self, app: ASGIApp, on_error: Callable[[str], None] = lambda _reason: None) -> None:
        self._app = app
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            return await self._app(scope, receive, send_watched)
        except asyncio.CancelledError:
            # Only the server cancels a request, when draining took too long.
            await self._answer(ShuttingDown(), started, scope, receive, send)
        except Exception as error:
            await self._answer(error, started, scope, receive, send)
            if kind_of(error) is INTERNAL:
                raise

    async def _answer(self, error: Exception, started: bool, scope: Scope, receive: Receive, send: Send) -> None:
        code = kind_of(error).code
        self._on_error(code)
        add_log_fields(scope, problem=code)
        if not started:
            await problem_response(error, scope)(scope, receive, send)


async def translate(_request: Request, error: Exception) -> Response:
    """An exception handler: the framework's own errors, by our names, left to `Problems` to answer."""
    status = getattr(error, "status_code", None)
    if status == 404:
        raise NoSuchRoute
    if status == 405:
        raise MethodNotAllowed(dict(getattr(error, "headers", None) or {}).get("Allow", ""))
    raise error


def _end(recording: Recording, route: str, method: str, code: int, said: Mapping[str, Any]) -> None:
    """By OpenTelemetry's conventions for HTTP servers, without what a client wrote: path, query, address."""
    known = method in METHODS
    recording.set_attributes({"http.request.method": method if known else "_OTHER", "http.response.status_code": code})
    if route != UNMATCHED:
        recording.set_attributes({"http.route": route})
    if "tickets" in said:
        recording.set_attributes({"ticket_router.tickets": said["tickets"]})
    name = " ".join((method if known else "HTTP", *([route] if route != UNMATCHED else [])))
    recording.end(name, problem=said.get("problem"), failed=code >= INTERNAL.status)
