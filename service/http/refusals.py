"""What a port answers by itself, before any application is asked: our problems in place of uvicorn's plain text."""

from collections.abc import Callable

from ulid import ULID
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.errors import HeadTooLarge, MalformedHttp, ServiceError, TooManyConnections, UriTooLong
from service.http.problems import problem_response

REFUSALS = (MalformedHttp, UriTooLong, HeadTooLarge, TooManyConnections)
"""Every error that no application has seen."""

OnRefusal = Callable[[ServiceError, str], None]
"""Is told the error and the request id of its answer."""


def refusal(error: ServiceError, default_headers: list[tuple[bytes, bytes]], on_refusal: OnRefusal) -> bytes:
    """The whole answer, after which the connection is to be closed."""
    request_id = str(ULID())
    on_refusal(error, request_id)
    answer = problem_response(error, {"state": {"request_id": request_id}})
    headers = dict([*default_headers, *answer.raw_headers, (b"x-request-id", request_id.encode())])
    lines = [name + b": " + value + b"\r\n" for name, value in headers.items()]
    return b"".join([STATUS_LINE[answer.status_code], *lines, b"\r\n", bytes(answer.body)])
