"""Counts that are kept: counted once for all readers, and never older than ten minutes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from service.desk.kept import Kept
from service.errors import RecordsUnavailable


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def counting(found: list[int]) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        await asyncio.sleep(0.01)
        found.append(len(found))
        return found[-1]

    return count


def test_readers_share_a_count_and_get_the_last_one_while_it_is_counted_anew() -> None:
    async def scenario() -> None:
        clock, found = Clock(), list[int]()
        kept, count = Kept(60, 600, clock), counting(found)
        assert await asyncio.gather(kept.get("a", count), kept.get("a", count)) == [0, 0]
        clock.now += 59
        assert await kept.get("a", count) == 0
        clock.now += 2
        assert await kept.get("a", count) == 0
        await asyncio.sleep(0.05)
        assert (await kept.get("a", count), found) == (1, [0, 1])
        clock.now += 601
        assert await kept.get("a", count) == 2
        await kept.stop()

    asyncio.run(scenario())


def test_failed_count_is_an_error_only_where_there_is_nothing_to_show() -> None:
    async def fails() -> int:
        raise RecordsUnavailable

    async def scenario() -> None:
        clock = Clock()
        kept = Kept(60, 600, clock)
        with pytest.raises(RecordsUnavailable):
            await kept.get("a", fails)
        assert await kept.get("a", counting([])) == 0
        clock.now += 100
        assert await kept.get("a", fails) == 0
        await asyncio.sleep(0)
        clock.now += 600
        with pytest.raises(RecordsUnavailable):
            await kept.get("a", fails)

    asyncio.run(scenario())
