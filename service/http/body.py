"""Reading a request's body within its limits.

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
    ServiceError,
    ShuttingDown,
    TooManyBodies,
    UnsupportedEncoding,
)
from service.http.disconnect import connection_of
from service.http.room import Body, Room

Content = bytes | bytearray
"""A body that came in pieces is not copied once more: at 4 MB that is worth a millisecond of everybody's time."""
BODY_ENDED = "body_ended"
"""The scope's entry for the moment, of `time.perf_counter`, at which no more of the body was waited for."""


class BodyReader:
    """Reads bodies within their size and their time. Use from one event loop only.

    It knows every body that is on its way, so that a stopping process need not wait for one that never ends.
    """

    def __init__(self) -> None:
        self._latest = math.inf
        self._room = Room(time.monotonic)
        self._open: set[asyncio.Timeout] = set()

    async def read(self, request: Request, limit_bytes: int, deadline: float, caller: str | None = None) -> Content:
        """The whole body, declared or chunked. `deadline` is in the loop's time; `caller`: whose room it takes.

        Raises:
            BodyTooLarge: more than the limit, noticed before it is kept in memory.
            UnsupportedEncoding: it is compressed; a small body could unpack to gigabytes.
            RequestTimeout, ShuttingDown: it was not complete in time.
            ClientGone: the client hung up half-way.
            TooManyBodies: there is no room for it beside the others, or not any more.
            BodyInPieces, MalformedHttp: what `protocol.py` found out about it while it came in.
        """
        _refuse_early(request, limit_bytes)
        timeout = asyncio.timeout_at(min(deadline, self._latest))
        held = Body(caller, lambda: None if timeout.expired() else timeout.reschedule(0))
        try:
            async with timeout:
                self._open.add(timeout)
                try:
                    return await self._gather(request, limit_bytes, held)
                finally:
                    self._room.release(held)
                    self._open.discard(timeout)
                    request.scope[BODY_ENDED] = time.perf_counter()
        except TimeoutError:
            raise self._why_late(held, deadline) from None

    async def _gather(self, request: Request, limit_bytes: int, held: Body) -> Content:
        connection = connection_of(request.scope)
        body: Content = b""
        more = True
        while more:
            message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            more = message.get("more_body", False)
            if more and connection.refusal is not None:
                raise connection.take_refusal()
            body = _with(body, message.get("body", b""))
            if len(body) > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            if more:
                self._room.hold(held, len(body))
        return body

    def _why_late(self, held: Body, deadline: float) -> ServiceError:
        if held.left:
            return TooManyBodies()
        return RequestTimeout() if deadline <= self._latest else ShuttingDown()

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
