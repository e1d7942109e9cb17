"""The one table of errors: HTTP status, stable code and title of each error class; problem details (RFC 9457) from it.

OpenAPI responses and metric labels come from the table too. A problem never repeats input: its texts are constants.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response
from starlette.types import Scope

from service import errors

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:ticket-router:problem:"
RETRY_SECONDS = 1
"""Retry-After of errors without an estimate: a restart or a reload takes seconds."""
CLIENT_CLOSED = 499
"""Only counted, never sent: the client has disconnected (nginx's convention)."""


class Output(BaseModel):
    """Base of all output schemas."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FieldProblem(Output):
    """One error in a request. `field` has only documented names and indexes; `*` replaces a name the client made up."""

    field: str
    code: str
    message: str


class Problem(Output):
    """RFC 9457 problem details. `code` is stable, the texts may change; only `invalid_request` has `errors`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[FieldProblem, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """The HTTP form of an error class. `code` is also the `reason` in the metric `rejected_total`."""

    status: int
    code: str
    title: str


INTERNAL = Kind(500, "internal_error", "Internal error")

TABLE: Mapping[type[Exception], Kind] = {
    errors.MalformedJson: Kind(400, "malformed_json", "The body cannot be read as JSON"),
    errors.MalformedHttp: Kind(400, "malformed_http", "The request is not well-formed HTTP"),
    errors.InvalidHeader: Kind(400, "invalid_header", "A header is not well-formed"),
    errors.KeyInQuery: Kind(400, "key_in_query", "The URL contains a key"),
    errors.Unauthenticated: Kind(401, "unauthenticated", "No valid key"),
    errors.Forbidden: Kind(403, "forbidden", "The key does not have the role"),
    errors.FromAPage: Kind(403, "from_a_page", "The request comes from a web page"),
    errors.NoSuchRoute: Kind(404, "not_found", "Not found"),
    errors.RecordsOff: Kind(404, "records_off", "Decisions are not recorded"),
    errors.UnknownDecision: Kind(404, "unknown_decision", "No such decision"),
    errors.UnknownConnection: Kind(404, "unknown_connection", "No such connection"),
    errors.UnknownTicket: Kind(404, "unknown_ticket", "No such ticket"),
    errors.MethodNotAllowed: Kind(405, "method_not_allowed", "Method not allowed"),
    errors.ReloadRunning: Kind(409, "reload_running", "Another reload is running"),
    errors.ReloadRefused: Kind(409, "reload_refused", "The bundle was refused"),
    errors.ChallengerRefused: Kind(409, "challenger_refused", "The bundle cannot be put beside the serving one"),
    errors.RequestTimeout: Kind(408, "request_timeout", "The request took too long to arrive"),
    errors.BodyTooLarge: Kind(413, "body_too_large", "The body is too large"),
    errors.BodyInPieces: Kind(413, "body_in_pieces", "The body comes in too many small chunks"),
    errors.UriTooLong: Kind(414, "uri_too_long", "The request's target is too long"),
    errors.UnsupportedMediaType: Kind(415, "unsupported_media_type", "Unsupported media type"),
    errors.UnsupportedEncoding: Kind(415, "unsupported_encoding", "Unsupported content encoding"),
    errors.InvalidRequest: Kind(422, "invalid_request", "The request does not match the documented schema"),
    errors.KeyReused: Kind(422, "idempotency_key_reused", "The idempotency key belongs to another request"),
    errors.Overloaded: Kind(429, "overloaded", "Too many tickets are waiting"),
    errors.TooManyBodies: Kind(429, "too_many_bodies", "Too many large bodies are being received"),
    errors.RateLimited: Kind(429, "rate_limited", "The key's rate is used up"),
    errors.HeadTooLarge: Kind(431, "head_too_large", "The request's head is too large"),
    errors.ClientGone: Kind(CLIENT_CLOSED, "client_gone", "The client closed the connection"),
    errors.InferenceFailed: Kind(500, "inference_failed", "The model run failed"),
    errors.RecordsFailed: Kind(500, "records_failed", "The decision could not be recorded"),
    errors.NotReady: Kind(503, "not_ready", "The service is not ready"),
    errors.RecordsUnavailable: Kind(503, "records_unavailable", "Decisions cannot be recorded"),
    errors.TooManyConnections: Kind(503, "too_many_connections", "Too many connections are open"),
    errors.ShuttingDown: Kind(503, "shutting_down", "The service is stopping"),
    errors.DeadlinePassed: Kind(504, "deadline_passed", "The deadline passed"),
}
"""Error class → HTTP form. A subclass has the form of its nearest listed parent; an unlisted class is `INTERNAL`."""

ADMINISTRATIVE = (
    errors.ReloadRunning,
    errors.ReloadRefused,
    errors.ChallengerRefused,
    errors.FromAPage,
)
"""Errors of the management port only: not rejections of tickets."""
PORT_REFUSALS = (
    errors.MalformedHttp,
    errors.BodyInPieces,
    errors.UriTooLong,
    errors.HeadTooLarge,
    errors.TooManyConnections,
)
"""Errors of the protocol (`server/protocol.py`); the application does not see such a request."""
CLOSING = (*PORT_REFUSALS, errors.RequestTimeout)
"""Errors that close the connection: the end of the request is late or unknown."""


_RETRY = {"Retry-After": {"schema": {"type": "integer"}}}
_DOCUMENTED_HEADERS: Mapping[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}}},
    429: _RETRY,
    503: _RETRY,
}


def kind_of(error: BaseException) -> Kind:
    return next((TABLE[cls] for cls in type(error).__mro__ if cls in TABLE), INTERNAL)


def reasons() -> Iterator[str]:
    """Every value of the metric label."""
    yield from (kind.code for error, kind in TABLE.items() if error not in ADMINISTRATIVE)


def problem_of(error: BaseException, request_id: str) -> Problem:
    kind = kind_of(error)
    return Problem(
        type=TYPE_PREFIX + kind.code,
        title=kind.title,
        status=kind.status,
        # The message of an unknown error may contain anything, so it is not sent.
        detail="the cause is in the service's log, under this request id" if kind is INTERNAL else str(error),
        code=kind.code,
        request_id=request_id,
        errors=field_problems(error),
    )


def field_problems(error: BaseException) -> tuple[FieldProblem, ...]:
    items = error.errors if isinstance(error, errors.InvalidRequest) else ()
    return tuple(FieldProblem(field=item.field, code=item.code, message=item.message) for item in items)


def problem_response(error: BaseException, scope: Scope) -> Response:
    problem = problem_of(error, scope.get("state", {}).get("request_id", ""))
    return Response(problem.model_dump_json(), problem.status, headers_of(error), MEDIA_TYPE)


def raw_response(error: BaseException, request_id: str, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The complete HTTP/1.1 response with the error's problem, for an error of the protocol."""
    response = problem_response(error, {"state": {"request_id": request_id}})
    headers = [*default_headers, *response.raw_headers, (b"x-request-id", request_id.encode())]
    status_line = f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}\r\n"
    return status_line.encode() + b"".join(b"%b: %b\r\n" % each for each in headers) + b"\r\n" + bytes(response.body)


def documented(*classes: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` of a route that can raise these errors, and of an internal error."""
    kinds = [kind_of_class(cls) for cls in classes] + [INTERNAL]
    statuses = sorted({kind.status for kind in kinds if kind.status != CLIENT_CLOSED})
    responses: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        responses[status] = {
            "description": "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds if kind.status == status),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            "headers": _DOCUMENTED_HEADERS.get(status, {}),
        }
    return responses


def kind_of_class(cls: type[Exception]) -> Kind:
    return next(TABLE[parent] for parent in cls.__mro__ if parent in TABLE)


def headers_of(error: BaseException) -> dict[str, str]:
    headers: dict[str, str] = {}
    if kind_of(error).status in (429, 503):
        headers["Retry-After"] = str(math.ceil(getattr(error, "retry_after", RETRY_SECONDS)))
    if isinstance(error, errors.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = error.allow
    if isinstance(error, CLOSING):
        headers["Connection"] = "close"
    return headers
