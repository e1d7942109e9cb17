"""`service.http.body`: size, time and memory of the bodies that are being received."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from service.errors import BodyTooLarge, ClientGone, RequestTimeout, ShuttingDown, TooManyBodies
from service.http.body import SMALL_BYTES, BodyReader

SECONDS = 60.0
CAPACITY = 4 * SMALL_BYTES
LARGE, SMALL = b"x" * (SMALL_BYTES + 1), b"x" * SMALL_BYTES


def request(*pieces: bytes | None, ends: bool = True) -> Request:
    """A request whose body arrives in these pieces. At None the client disconnects. Without an end, the rest never
    arrives."""
    messages: list[Message] = [
        {"type": "http.disconnect"}
        if piece is None
        else {"type": "http.request", "body": piece, "more_body": not ends or number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def read(reader: BodyReader, asked: Request, limit: int = 10**9, seconds: float = SECONDS) -> bytes:
    return bytes(await reader.read(asked, limit, asyncio.get_running_loop().time() + seconds))


def play(story: Callable[[BodyReader], Awaitable[object]], body_seconds: float = SECONDS) -> object:
    async def run() -> object:
        return await story(BodyReader(body_seconds, CAPACITY))

    return asyncio.run(run())


async def half(reader: BodyReader, *pieces: bytes) -> "asyncio.Task[bytes]":
    """A body whose rest never arrives after these pieces."""
    task = asyncio.create_task(read(reader, request(*pieces, ends=False)))
    for _ in range(5):
        await asyncio.sleep(0)
    return task


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=6))
def test_a_body_is_its_chunks_in_order(pieces: Sequence[bytes]) -> None:
    assert play(lambda reader: read(reader, request(*pieces))) == b"".join(pieces)


def test_a_body_may_have_exactly_the_limit() -> None:
    """The first byte above the limit is refused."""
    assert play(lambda reader: read(reader, request(b"abc", b"d"), limit=4)) == b"abcd"
    with pytest.raises(BodyTooLarge):
        play(lambda reader: read(reader, request(b"abc", b"de", b"f"), limit=4))


@pytest.mark.parametrize(("seconds", "body_seconds"), [(0.01, SECONDS), (SECONDS, 0.01)], ids=["request", "body"])
def test_a_late_body_is_a_timeout(seconds: float, body_seconds: float) -> None:
    """By the request's own deadline or by the limit for every body."""
    with pytest.raises(RequestTimeout):
        play(lambda reader: read(reader, request(b"a", ends=False), seconds=seconds), body_seconds)


def test_a_stopping_process_limits_the_time_of_all_bodies() -> None:
    """Of a body in progress and of a new one; the client gets a 503 and can try another instance."""

    async def story(reader: BodyReader) -> list[BaseException | bytes]:
        waiting = await half(reader, b"a")
        reader.finish_by(asyncio.get_running_loop().time() + 0.01)
        return list(await asyncio.gather(waiting, read(reader, request(b"a", ends=False)), return_exceptions=True))

    found = play(story)
    assert isinstance(found, list)
    assert [type(each) for each in found] == [ShuttingDown, ShuttingDown]


def test_large_bodies_are_refused_where_small_ones_still_fit() -> None:
    """Three quarters of the memory are for all bodies, the rest only for small ones."""

    async def story(reader: BodyReader) -> None:
        held = await half(reader, LARGE, LARGE)
        with pytest.raises(TooManyBodies):
            await read(reader, request(LARGE, b"a"))
        assert await read(reader, request(SMALL, b"")) == SMALL
        held.cancel()

    play(story)


def test_small_bodies_are_refused_beyond_the_cap() -> None:
    async def story(reader: BodyReader) -> None:
        held = [await half(reader, SMALL) for _ in range(CAPACITY // SMALL_BYTES)]
        with pytest.raises(TooManyBodies):
            await read(reader, request(SMALL, b""))
        for each in held:
            each.cancel()

    play(story)


def test_a_complete_body_is_never_refused_for_memory() -> None:
    """It needs no memory beyond what the server has already allocated."""

    async def story(reader: BodyReader) -> None:
        held = await half(reader, LARGE, LARGE)
        assert await read(reader, request(LARGE)) == LARGE
        held.cancel()

    play(story)


@pytest.mark.parametrize("end", [ClientGone, TooManyBodies, BodyTooLarge, asyncio.CancelledError])
def test_memory_is_free_again_after_any_end(end: type[BaseException]) -> None:
    """Otherwise the service would refuse bodies forever after a flood."""
    pieces, limit = {
        ClientGone: ((LARGE, None), 10**9),
        TooManyBodies: ((LARGE, LARGE, LARGE), 10**9),
        BodyTooLarge: ((LARGE, LARGE), len(LARGE)),
        asyncio.CancelledError: ((LARGE,), 10**9),
    }[end]

    async def story(reader: BodyReader) -> None:
        for _ in range(10):
            task = asyncio.create_task(read(reader, request(*pieces, ends=False), limit))
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(end):
                await task
        assert await read(reader, request(LARGE, LARGE)) == LARGE * 2

    play(story)
