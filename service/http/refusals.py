"""What a port answers by itself, before any application is asked: our problems in place of uvicorn's plain text."""

from collections.abc import Callable
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.errors import HeadTooLarge, MalformedHttp, ServerFault, ServiceError, TooManyConnections, UriTooLong
from service.http.problems import headers_of, problem_response
from service.http.request_id import Headers

REFUSALS = (MalformedHttp, ServerFault, UriTooLong, HeadTooLarge, TooManyConnections)
"""Every error that no application has seen, whatever its request."""
KEPT = 256
"""Answers that are kept written: each refusal, with each Retry-After from 1 to 59."""
_ID = "~"
"""Stands for the request's id in a kept answer; no text of ours has one."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """`route` and `method` None: what came was no request, or nobody knows which. `key`: its caller's name."""

    error: ServiceError
    request_id: str
    route: str | None = None
    method: str | None = None
    key: str | None = None


OnRefusal = Callable[[Refusal], None]


@dataclass(frozen=True, slots=True)
class _Written:
    """An answer without its default headers, its length and its request's id."""

    status_line: bytes
    names: frozenset[bytes]
    headers: bytes
    before_id: bytes
    after_id: bytes


class Answers:
    """Refusals as bytes. In a flood one is given thousands of times: it is written once, and then filled in."""

    def __init__(self) -> None:
        self._written: dict[tuple[object, ...], _Written] = {}

    def to(self, refusal: Refusal, default_headers: Headers) -> bytes:
        """The whole answer, head and body."""
        written, request_id = self._of(refusal.error), refusal.request_id.encode()
        defaults = [b"%b: %b\r\n" % header for header in default_headers if header[0] not in written.names]
        length = len(written.before_id) + len(request_id) + len(written.after_id)
        own = b"%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n" % (written.headers, length, request_id)
        body = (written.before_id, request_id, written.after_id)
        return b"".join((written.status_line, *defaults, own, *body))

    def _of(self, error: ServiceError) -> _Written:
        key = (type(error), str(error), *headers_of(error).values())
        if key not in self._written:
            if len(self._written) >= KEPT:
                self._written.clear()
            self._written[key] = _write(error)
        return self._written[key]


def _write(error: ServiceError) -> _Written:
    response = problem_response(error, {"state": {"request_id": _ID}})
    headers = {name: value for name, value in response.raw_headers if name != b"content-length"}
    before, after = bytes(response.body).split(_ID.encode())
    lines = b"".join(b"%b: %b\r\n" % header for header in headers.items())
    return _Written(STATUS_LINE[response.status_code], frozenset(headers), lines, before, after)
