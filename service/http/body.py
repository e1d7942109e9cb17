"""Reading a request's body within its limits.

It notes when that was over: what came before is the client's time, what comes after is ours (`middleware.py`).
"""

import asyncio
import math
import time

from starlette.requests import Request

from service.errors import BodyTooLarge, ClientGone, RequestTimeout, ShuttingDown, TooManyBodies, UnsupportedEncoding
from service.http.connection import connection_of

BODY_ENDED = "body_ended"
"""The scope's entry for the moment, of `time.perf_counter`, at which no more of the body was waited for."""


ARRIVING_BYTES = 64_000_000
"""Bodies that are on their way may hold so much of memory together: sixty of the largest, which are a flood or a few
slow clients. One that comes in a single piece, as nearly every ticket does, is not among them, and is always let in."""


class BodyReader:
    """Reads bodies within their size and their time. Use from one event loop only.

    It knows every body that is on its way, so that a stopping process need not wait for one that never ends.
    """

    def __init__(self) -> None:
        self._latest = math.inf
        self._arriving = 0
        self._open: set[asyncio.Timeout] = set()

    async def read(self, request: Request, limit_bytes: int, deadline: float) -> bytes:
        """The whole body, declared or chunked. `deadline` is in the loop's time.

        Raises:
            BodyTooLarge: more than the limit, noticed before it is kept in memory.
            UnsupportedEncoding: it is compressed; a small body could unpack to gigabytes.
            RequestTimeout, ShuttingDown: it was not complete in time.
            ClientGone: the client hung up half-way.
            TooManyBodies: there is no room for it beside the others.
            BodyInPieces, MalformedHttp: what `protocol.py` found out about it while it came in.
        """
        _refuse_early(request, limit_bytes)
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

    async def _gather(self, request: Request, limit_bytes: int) -> bytes:
        connection = connection_of(request.scope)
        body, more, counted = b"", True, 0
        try:
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if more and connection.refusal is not None:
                    raise connection.take_refusal()
                if len(body) > limit_bytes:
                    raise BodyTooLarge(limit_bytes)
                if more:
                    self._arriving += len(body) - counted
                    counted = len(body)
                    if self._arriving > ARRIVING_BYTES:
                        raise TooManyBodies
        finally:
            self._arriving -= counted
        return body

    def finish_by(self, latest: float) -> None:
        """From now on no body is waited for beyond this moment, in the loop's time."""
        self._latest = latest
        for timeout in self._open:
            if not timeout.expired() and (timeout.when() or 0) > latest:
                timeout.reschedule(latest)


def _refuse_early(request: Request, limit_bytes: int) -> None:
    if any(coding.strip().lower() != "identity" for coding in request.headers.getlist("content-encoding")):
        raise UnsupportedEncoding
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
