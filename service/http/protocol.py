"""What uvicorn's protocol answers by itself, before any application is asked: our problems in place of its plain text.

`server.py` gives it to uvicorn. It overrides methods of `HttpToolsProtocol` as of uvicorn 0.54; the tests send bytes.
"""

import asyncio
from collections.abc import Callable

from ulid import ULID
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.errors import MalformedHttp
from service.http.connection import EXTENSION, Connection
from service.http.problems import problem_response

HEAD_SECONDS = 10
"""Longest a connection may take to send a request's head, its first included: half a head would hold it for ever."""


class ProblemProtocol(HttpToolsProtocol):
    """Bytes that are no HTTP get a problem; a head that does not come to its end gets its connection closed."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._connection = Connection()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)
        self._connection.lose()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self._connection}  # type: ignore[dict-item] # ASGI lets servers add theirs
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_came()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature; its text is not ours
        self._head_came()
        if self._answering() and (self.cycle.response_started or not self.cycle.more_body):
            # The answer under way is to an earlier, sound request: it is finished, and nothing follows it.
            self.cycle.keep_alive = False
            return
        request_id = str(ULID())
        self.malformed(request_id)
        self.transport.write(_refusal(request_id, self.server_state.default_headers))
        self.transport.close()

    def malformed(self, request_id: str) -> None:
        """Called once for each refusal."""

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._head_came()
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()

    def _head_is_late(self) -> None:
        if self._answering():
            self._await_head()
        else:
            self.transport.close()


def observed(on_malformed: Callable[[str], None]) -> type[ProblemProtocol]:
    """The protocol with a listener: uvicorn wants a class, so what it is to know must be in the class."""

    class Observed(ProblemProtocol):
        def malformed(self, request_id: str) -> None:
            on_malformed(request_id)

    return Observed


def _refusal(request_id: str, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    answer = problem_response(MalformedHttp(), {"state": {"request_id": request_id}})
    headers = [*default_headers, *answer.raw_headers, (b"x-request-id", request_id.encode())]
    lines = [name + b": " + value + b"\r\n" for name, value in headers]
    return b"".join([STATUS_LINE[answer.status_code], *lines, b"\r\n", bytes(answer.body)])
