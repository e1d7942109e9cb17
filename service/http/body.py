"""Reading a request's body within its size, its time, and the memory that all bodies may take together.

It notes when that was over: what came before is the client's time, what comes after is ours (`middleware.py`).
"""

import asyncio
import math
import time

from starlette.requests import Request

from service.errors import (
    BodyTooLarge,
    ClientGone,
    RequestTimeout,
    ShuttingDown,
    TooManyBodies,
    UnsupportedEncoding,
)

Content = bytes | bytearray
"""A body that came in pieces is not copied once more: at 4 MB that is worth a millisecond of everybody's time."""
BODY_ENDED = "body_ended"
"""The scope's entry for the moment, of `time.perf_counter`, at which no more of the body was waited for."""
BODY_SECONDS = 15.0
"""Longest that a body may take, whatever time its route allows. Absolute: a minimum rate lets a slow client stay."""
IN_FLIGHT_BYTES = 64_000_000
"""Of all bodies that are being received by the process: sixteen of the largest batches."""
SMALL_BYTES = 16_384
"""Nearly every ticket is smaller. A quarter of IN_FLIGHT_BYTES is only for these, so that a flood of large bodies, or a
few clients that never finish theirs, keep none of them out."""


class BodyReader:
    """Reads bodies within their limits. Use from one event loop only."""

    def __init__(self, body_seconds: float = BODY_SECONDS, in_flight_bytes: int = IN_FLIGHT_BYTES) -> None:
        self._body_seconds = body_seconds
        self._capacity = in_flight_bytes
        self._in_flight = 0
        self._latest = math.inf
        self._open: set[asyncio.Timeout] = set()

    async def read(self, request: Request, limit_bytes: int, deadline: float) -> Content:
        """The whole body, declared or chunked. `deadline` is in the loop's time, in seconds.

        Raises:
            BodyTooLarge: more than the limit, noticed before it is kept in memory.
            UnsupportedEncoding: it is compressed; a small body could unpack to gigabytes.
            RequestTimeout, ShuttingDown: it was not complete in time.
            ClientGone: the client hung up half-way, or the rest of the body was no well-formed HTTP.
            TooManyBodies: the bodies in flight leave no room for it.
        """
        _refuse_early(request, limit_bytes)
        deadline = min(deadline, asyncio.get_running_loop().time() + self._body_seconds)
        try:
            async with asyncio.timeout_at(min(deadline, self._latest)) as timeout:
                self._open.add(timeout)
                try:
                    return await self._gather(request, limit_bytes)
                finally:
                    self._open.discard(timeout)
                    request.scope[BODY_ENDED] = time.perf_counter()
        except TimeoutError:
            raise (RequestTimeout() if deadline <= self._latest else ShuttingDown()) from None

    async def _gather(self, request: Request, limit_bytes: int) -> Content:
        body: Content = b""
        more, counted = True, 0
        try:
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                more = message.get("more_body", False)
                body = _with(body, message.get("body", b""))
                if len(body) > limit_bytes:
                    raise BodyTooLarge(limit_bytes)
                self._in_flight += len(body) - counted
                counted = len(body)
                if more and self._in_flight > self._capacity * (1 if counted <= SMALL_BYTES else 0.75):
                    raise TooManyBodies
            return body
        finally:
            self._in_flight -= counted

    def finish_by(self, latest: float) -> None:
        """From now on no body is waited for beyond this moment, in the loop's time."""
        self._latest = latest
        for timeout in self._open:
            if not timeout.expired() and (timeout.when() or 0) > latest:
                timeout.reschedule(latest)


def _with(body: Content, piece: bytes) -> Content:
    """Grown in place from its second piece on: copied for each, sixteen large ones held the loop for 140 ms."""
    if not body:
        return piece
    if isinstance(body, bytes):
        body = bytearray(body)
    body += piece
    return body


def _refuse_early(request: Request, limit_bytes: int) -> None:
    if any(coding.strip().lower() != "identity" for coding in request.headers.getlist("content-encoding")):
        raise UnsupportedEncoding
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
