"""Reads request bodies within limits of size and time, and within one memory limit for all bodies together.

It records when the body ended: `middleware.py` measures the service's time from that moment, without the client's time.
"""

import asyncio
import math
import time
from typing import Protocol

from starlette.requests import Request

from service.errors import (
    BodyTooLarge,
    ClientGone,
    RequestTimeout,
    ShuttingDown,
    TooManyBodies,
    UnsupportedEncoding,
)
from service.http.disconnect import connection_of
from service.http.headers import values_of

Content = bytes | bytearray
"""A body of several chunks stays a bytearray: copying 4 MB would block the event loop for a millisecond."""
BODY_ENDED = "body_ended"
"""The key in the scope for the time at which reading the body ended (`time.perf_counter`)."""
BODY_SECONDS = 15.0
"""Maximum time for a body, whatever the route allows. With a minimum rate instead, a slow client could stay."""
IN_FLIGHT_BYTES = 64_000_000
"""Limit for all bodies that the process is receiving: sixteen of the largest batches."""
SMALL_BYTES = 16_384
"""Nearly every ticket is smaller. A quarter of IN_FLIGHT_BYTES is reserved for bodies of this size, so that a flood of
large bodies, or clients that never finish theirs, cannot block them."""


class Collector(Protocol):
    """Stores the needed parts of a body while it arrives."""

    @property
    def held(self) -> int:
        """Bytes in memory."""
        ...

    def feed(self, chunk: bytes, /) -> None:
        """Take the next bytes of the body."""
        ...


class BodyReader:
    """Reads bodies within their limits. Use from one event loop only."""

    def __init__(self, body_seconds: float = BODY_SECONDS, in_flight_bytes: int = IN_FLIGHT_BYTES) -> None:
        self._body_seconds = body_seconds
        self._capacity = in_flight_bytes
        self._in_flight = 0
        self._latest = math.inf
        self._open: set[asyncio.Timeout] = set()

    async def read(self, request: Request, limit_bytes: int, deadline: float) -> Content:
        """The whole body. Parameters and errors as for `collect`."""
        whole = _WholeBody()
        await self.collect(whole, request, limit_bytes, deadline)
        return whole.content

    async def collect(self, collector: Collector, request: Request, limit_bytes: int, deadline: float) -> None:
        """Feed the body, with Content-Length or chunked, to the collector. `deadline`: the event loop's clock, seconds.

        Raises:
            BodyTooLarge: the body is larger than the limit, noticed before the excess is stored.
            UnsupportedEncoding: the body is compressed; a small body could unpack to gigabytes.
            RequestTimeout, ShuttingDown: the body was not complete in time.
            ClientGone: the client closed the connection, or the rest of the body is not well-formed HTTP.
            TooManyBodies: the memory limit for all bodies is reached.
        """
        headers = request.scope["headers"]
        for coding in values_of(headers, b"content-encoding"):
            if coding.strip().lower() != b"identity":
                raise UnsupportedEncoding
        for declared in values_of(headers, b"content-length"):
            if declared.isdigit() and len(declared) < 20 and int(declared) > limit_bytes:
                raise BodyTooLarge(limit_bytes)
        if not connection_of(request.scope).receiving:  # the server has the whole body, as of most tickets
            await self._receive(collector, request, limit_bytes)
            return
        deadline = min(deadline, asyncio.get_running_loop().time() + self._body_seconds)
        try:
            async with asyncio.timeout_at(min(deadline, self._latest)) as timeout:
                self._open.add(timeout)
                try:
                    await self._receive(collector, request, limit_bytes)
                finally:
                    self._open.discard(timeout)
        except TimeoutError:
            raise (RequestTimeout() if deadline <= self._latest else ShuttingDown()) from None

    async def _receive(self, collector: Collector, request: Request, limit_bytes: int) -> None:
        more, received, counted = True, 0, 0
        try:
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                more = message.get("more_body", False)
                chunk = message.get("body", b"")
                received += len(chunk)
                if received > limit_bytes:
                    raise BodyTooLarge(limit_bytes)
                collector.feed(chunk)
                self._in_flight += collector.held - counted
                counted = collector.held
                if more and self._in_flight > self._capacity * (1 if counted <= SMALL_BYTES else 0.75):
                    raise TooManyBodies
        finally:
            self._in_flight -= counted
            request.scope[BODY_ENDED] = time.perf_counter()

    def finish_by(self, latest: float) -> None:
        """Set the latest deadline for all bodies, now and later. `latest`: the event loop's clock, in seconds."""
        self._latest = latest
        for timeout in self._open:
            if not timeout.expired() and (timeout.when() or 0) > latest:
                timeout.reschedule(latest)


class _WholeBody:
    """Collects the body unchanged."""

    def __init__(self) -> None:
        self.content: Content = b""

    @property
    def held(self) -> int:
        return len(self.content)

    def feed(self, chunk: bytes) -> None:
        """Grow in place from the second chunk on: copying large bodies chunk by chunk blocked the loop for 140 ms."""
        if not self.content:
            self.content = chunk
            return
        if isinstance(self.content, bytes):
            self.content = bytearray(self.content)
        self.content += chunk
