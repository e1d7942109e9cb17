"""uvicorn's cycle of a request and its answer, as `protocol.py` has it: `Joined` between it and its connection, and
`ANSWERED` in its place.

uvicorn writes an answer's head and its body each by itself: a second system call for every ticket, and a client that
wakes up for half an answer.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_GO_ON = b"HTTP/1.1 100 "
"""How uvicorn tells a client to send its body; an answer of the application never begins so."""
_CLOSE = b"connection: close\r\n"


class Joined:
    """What uvicorn's cycle sees as its transport: holds the head back until the first piece of the body, or the end.

    Whoever waits to be told to send its body and gets an answer instead is let go with it: what came next could be that
    body as well as a request, and nobody could tell.

    It does not hold the cycle that holds it: a cycle whose client has left never ends, and both would wait for the
    collector.
    """

    __slots__ = ("_close", "_head", "_on_response", "_transport", "_untold")

    def __init__(self, cycle: RequestResponseCycle, close: Callable[[], None]) -> None:
        self._transport: asyncio.Transport = cycle.transport
        self._close = close
        self._on_response: Callable[[], None] = cycle.on_response
        self._head: bytes | None = None
        self._untold: bool = cycle.waiting_for_100_continue
        cycle.transport = self  # type: ignore[assignment] # it calls no more than what stands here
        cycle.on_response = self._complete

    def write(self, data: bytes) -> None:
        if self._head is None:
            if data.startswith(_GO_ON):
                self._untold = False
                self._send(data)
            else:
                self._head = _closing(data) if self._untold else data
        else:
            self._send(self._head + data)
            self._head = b""

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._flush()
        self._close()

    def _complete(self) -> None:
        self._flush()
        if self._untold:
            self._close()
        self._on_response()

    def _flush(self) -> None:
        """An answer without a body, as to HEAD, is all head."""
        if self._head:
            self._send(self._head)
            self._head = b""

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():  # uvloop's raises then: requests in a row may outlive their client
            self._transport.write(data)


class _Answered:
    """Of a request that needed none. uvicorn asks a cycle for no more than this."""

    response_complete = True
    message_event = asyncio.Event()  # nobody waits for it


ANSWERED = _Answered()


def _closing(head: bytes) -> bytes:
    return head if b"\r\n" + _CLOSE in head else head.removesuffix(b"\r\n") + _CLOSE + b"\r\n"
