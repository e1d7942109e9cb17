"""Reading a request's body within its limit, and watching whether its client is still there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from service.errors import BodyTooLarge, ClientGone, UnsupportedEncoding


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body, declared or chunked.

    Raises:
        BodyTooLarge: more than the limit, noticed before it is kept in memory.
        UnsupportedEncoding: it is compressed; a small body could unpack to gigabytes.
        ClientGone: the client hung up half-way.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedEncoding
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and len(declared) < 20 and int(declared) > limit_bytes:
        raise BodyTooLarge(limit_bytes)
    try:
        return await _gather(request, limit_bytes)
    except ClientDisconnect:
        raise ClientGone from None


async def _gather(request: Request, limit_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
    return bytes(body)


@contextlib.asynccontextmanager
async def while_connected(request: Request) -> AsyncIterator[None]:
    """Cancel what is inside when the client hangs up, so that its tickets leave the queue. The body must be read.

    Raises:
        ClientGone: it did.
    """
    work = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        if work is not None:
            work.cancel()

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        # `uncancel` tells our own cancel from one by the server, which must go on.
        if gone and work is not None and work.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()
