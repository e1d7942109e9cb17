"""An answer's head and body in one write. uvicorn writes each by itself: a second system call for every ticket, and a
client that wakes up for half an answer. `protocol.py` puts one between each request and its connection.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Joined:
    """What uvicorn's cycle sees as its transport: holds the head back until the first piece of the body, or the end."""

    __slots__ = ("_cycle", "_head", "_on_response", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport: asyncio.Transport = cycle.transport
        self._on_response: Callable[[], None] = cycle.on_response
        self._head: bytes | None = None
        cycle.transport = self  # type: ignore[assignment] # it calls no more than what stands here
        cycle.on_response = self._complete

    def write(self, data: bytes) -> None:
        if not self._cycle.response_started:
            self._send(data)  # 100 Continue
        elif self._head is None:
            self._head = data
        else:
            self._send(self._head + data)
            self._head = b""

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _complete(self) -> None:
        self._flush()
        self._cycle.transport = self._transport  # or both would wait for the collector
        self._on_response()

    def _flush(self) -> None:
        """An answer without a body, as to HEAD, is all head."""
        if self._head:
            self._send(self._head)
            self._head = b""

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():  # uvloop's raises then: requests in a row may outlive their client
            self._transport.write(data)
