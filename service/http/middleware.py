"""The one ASGI middleware: request id; metrics, log line, trace; errors as problems; cancels abandoned requests.

Not Starlette's BaseHTTPMiddleware: it runs every request in an extra task and hides the client's disconnect.
"""

import asyncio
import time
from collections.abc import Awaitable, Set

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import ClientGone, MethodNotAllowed, NoSuchRoute, ShuttingDown
from service.http.body import BODY_ENDED
from service.http.disconnect import connection_of
from service.http.fast_path import TEMPLATE
from service.http.problems import INTERNAL, kind_of, problem_response
from service.http.request_id import HEADER, request_id_of
from service.logs import add_log_fields, log_fields
from service.metrics.metrics import Metrics
from service.tracing.recording import Recording
from service.tracing.traces import Traces

METHODS = frozenset({"DELETE", "GET", "POST"})
OTHER_METHOD = "other"
UNMATCHED = "unmatched"

_log = structlog.get_logger()


class Observer:
    """Counts, times, logs and traces every response by its route. `routes`: the paths that are label values."""

    def __init__(self, metrics: Metrics, traces: Traces, routes: Set[str]) -> None:
        self._metrics = metrics
        self._traces = traces
        self._routes = routes

    def begin(self, scope: Scope) -> Recording | None:
        self._metrics.request_began()
        return self._traces.begin(scope)

    def count_rejection(self, reason: str) -> None:
        self._metrics.count_rejection(reason)

    def end(self, scope: Scope, code: int, started: float, recording: Recording | None) -> None:
        """Count, log and trace the response. `started`: seconds of `perf_counter`.

        The trace gets OpenTelemetry's HTTP attributes, except those that a client writes (path, query, address).
        """
        now = time.perf_counter()
        template = str(scope.get(TEMPLATE) or getattr(scope.get("route"), "path", ""))
        route = template if template in self._routes else UNMATCHED
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        trace_id = None if recording is None else recording.trace_id
        self._metrics.request_ended()
        self._metrics.record_request(route, method, code, now - scope.get(BODY_ENDED, started), trace_id)
        fields = log_fields(scope)
        _log.info("request", route=route, method=method, code=code, seconds=round(now - started, 4), **fields)
        if recording is None:
            return
        known, problem = method in METHODS, fields.get("problem")
        attributes = {"http.request.method": method if known else "_OTHER", "http.response.status_code": code}
        if route != UNMATCHED:
            attributes["http.route"] = route
        if "tickets" in fields:
            attributes["ticket_router.tickets"] = fields["tickets"]
        recording.set_attributes(attributes)
        name = " ".join((method if known else "HTTP", *([route] if route != UNMATCHED else [])))
        recording.end(name, problem=None if problem is None else str(problem), failed=code >= INTERNAL.status)


class RequestMiddleware:
    """Takes the client's `X-Request-ID` if well-formed, else a new id; adds it to the response and the log lines.
    Responds to every error with a problem from `problems.TABLE`; an unknown error is raised again, to be logged.

    Args:
        app: answers the request.
        observer: of the public port's requests; None on the management port.
        cancel: cancel the application when the client disconnects.
    """

    def __init__(self, app: ASGIApp, observer: Observer | None = None, *, cancel: bool = False) -> None:
        self._app = app
        self._observer = observer
        self._cancel = cancel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = _Response(send, request_id)
        started, observer = time.perf_counter(), self._observer
        recording = None if observer is None else observer.begin(scope)
        connection = connection_of(scope)
        task = asyncio.current_task() if self._cancel else None
        try:
            if connection.lost and self._cancel:
                raise ClientGone
            connection.task = task
            await self._app(scope, receive, response)
        except asyncio.CancelledError:
            # Without a lost connection, or if the server has cancelled the task too: the drain time is over.
            gone = task is not None and connection.lost and task.uncancel() == 0
            await self._respond(ClientGone() if gone else ShuttingDown(), scope, receive, response)
        except Exception as error:
            await self._respond(error, scope, receive, response)
            if kind_of(error) is INTERNAL:
                raise
        finally:
            connection.task = None
            if observer is not None:
                observer.end(scope, response.code or INTERNAL.status, started, recording)

    async def _respond(self, error: Exception, scope: Scope, receive: Receive, response: "_Response") -> None:
        code = kind_of(error).code
        if self._observer is not None:
            self._observer.count_rejection(code)
        add_log_fields(scope, problem=code)
        if not response.code:
            await problem_response(error, scope)(scope, receive, response)


class _Response:
    """Sends a response with the header of the request id. `code`: its status; 0 before its start."""

    __slots__ = ("_request_id", "_send", "code")

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.code = 0

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.code = message["status"]
            header = (HEADER, self._request_id.encode())
            message = {**message, "headers": [*message.get("headers", ()), header]}
        return self._send(message)


async def translate(_request: Request, error: Exception) -> Response:
    """An exception handler that converts Starlette's errors to service errors; `RequestMiddleware` responds to them."""
    status = getattr(error, "status_code", None)
    if status == 404:
        raise NoSuchRoute
    if status == 405:
        raise MethodNotAllowed(dict(getattr(error, "headers", None) or {}).get("Allow", ""))
    raise error
