"""`service.inference.batcher`: admission. An entry that cannot be answered in time is refused at once; the flood of one
caller does not affect the others."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

import pytest

from models.encoding import Encoding
from models.scoring import Verdict
from service.errors import RETRY_BOUNDS, DeadlinePassed, Overloaded
from service.inference.fair_queue import FREE_SPACE_FACTOR
from tests.support.batching import (
    MAX_TOKENS,
    BusyBatcher,
    Runner,
    batcher_of,
    encoding,
    in_loop,
    number_of,
    soon,
    verdict_of,
)

NOISY, POLITE = "noisy", "polite"


class Paced:
    """Takes 20 ms for every 8 tokens: 400 tokens per second with one runner."""

    def __call__(self, encodings: Sequence[Encoding], _lone: bool) -> list[Verdict]:
        time.sleep(0.02 * len(encodings))
        return [verdict_of(encoding.ids[0]) for encoding in encodings]


def test_entry_that_cannot_meet_its_deadline_is_refused_at_once() -> None:
    """With half a second of work waiting, a deadline in 0.1 s is refused; a deadline in 5 s is accepted."""

    async def test() -> None:
        batcher, _ = batcher_of(Paced(), tokens=8)
        await batcher.submit(encoding(0), soon())
        waiting = [asyncio.create_task(batcher.submit(encoding(number), soon())) for number in range(25)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            batcher.check(soon(0.1))
        batcher.check(soon(5))
        await asyncio.gather(*waiting)
        batcher.check(soon(0.1))
        await batcher.close()

    in_loop(test)


def test_deadline_below_half_a_millisecond_is_no_model_error() -> None:
    """uvloop has no timer for such a deadline, and the runner checks whether it has passed."""

    async def test() -> None:
        batcher, _ = batcher_of(Runner(), tokens=8)
        for number in range(50):
            with contextlib.suppress(DeadlinePassed):
                assert number_of(await batcher.submit(encoding(number + 100), soon(0.0004))) == number + 100
        await batcher.close()

    in_loop(test)


def test_queue_capacity_follows_the_throughput() -> None:
    """No ticket waits longer than `queue_seconds`, whatever its own deadline; before the first run the token limit
    holds."""

    async def test() -> None:
        batcher, _ = batcher_of(Paced(), tokens=8, queue=8000, queue_seconds=1)
        assert batcher.capacity == 8000
        await batcher.submit(encoding(0), soon())
        assert MAX_TOKENS < batcher.capacity <= 400
        results = await asyncio.gather(
            *(batcher.submit(encoding(number), soon()) for number in range(150)), return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, Overloaded)]
        assert 90 <= len(refused) < 150
        assert all(RETRY_BOUNDS[0] <= each.retry_after <= RETRY_BOUNDS[1] for each in refused)
        await batcher.close()

    in_loop(test)


def test_empty_queue_accepts_entries_even_if_the_throughput_estimate_is_too_low() -> None:
    """After a very slow run, for example during a reload, an empty queue still accepts entries, and the capacity in the
    metrics is never below the longest ticket."""

    async def test() -> None:
        async with BusyBatcher(queue_seconds=0.001) as busy:
            await asyncio.sleep(0.2)
            busy.unblock()
            await busy.first
            assert busy.batcher.capacity == MAX_TOKENS
            for number in range(1, 6):
                assert number_of(await busy.batcher.submit(encoding(number), soon(0.1))) == number

    in_loop(test)


def test_lower_throughput_refuses_only_the_caller_with_the_long_queue() -> None:
    """A caller without waiting entries is still served next."""

    async def test() -> None:
        async with BusyBatcher(queue_seconds=0.05, tokens=8) as busy:
            flood = await busy.submit(*range(100, 110), caller=NOISY)
            await asyncio.sleep(0.2)  # a slow run: now ten such are more than may wait
            await busy.end_run()
            with pytest.raises(Overloaded):
                busy.batcher.check(soon(caller=NOISY))
            busy.batcher.check(soon(caller=POLITE))
            busy.unblock()
            await asyncio.gather(*flood, return_exceptions=True)

    in_loop(test)


def test_passed_deadline_is_reported_as_late_and_not_as_overload() -> None:
    """504 and not 429: a retry with the same deadline would be late again."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            with pytest.raises(DeadlinePassed):
                busy.batcher.check(soon(-0.001))

    in_loop(test)


def test_flood_of_one_caller_leaves_space_for_others() -> None:
    """One caller may fill three quarters of the queue; another caller is still accepted, and runs next."""

    async def test() -> None:
        async with BusyBatcher(queue=800, tokens=8) as busy:
            flood = await busy.submit(*range(100, 200), caller=NOISY)
            refused = [task for task in flood if task.done()]
            assert (
                FREE_SPACE_FACTOR / (FREE_SPACE_FACTOR + 1) * 800
                <= busy.batcher.tokens
                <= FREE_SPACE_FACTOR / (FREE_SPACE_FACTOR + 1) * 800 + 8
            )
            assert all(isinstance(task.exception(), Overloaded) for task in refused)
            (polite,) = await busy.submit(1, caller=POLITE)
            assert not polite.done()
            busy.unblock()
            assert number_of(await polite) == 1
            assert [1] in busy.runner.batches[:4]
            await asyncio.gather(*flood, return_exceptions=True)

    in_loop(test)


def test_anonymous_caller_may_use_the_whole_queue() -> None:
    """Without keys there is one caller, so no space is reserved."""

    async def test() -> None:
        async with BusyBatcher(queue=800, tokens=8) as busy:
            flood = await busy.submit(*range(100, 210))
            assert busy.batcher.capacity - 8 <= busy.batcher.tokens <= busy.batcher.capacity
            busy.unblock()
            await asyncio.gather(*flood, return_exceptions=True)

    in_loop(test)


def test_flood_of_one_caller_does_not_delay_another() -> None:
    """Only as much of the flood as the other caller has waiting runs before: a short deadline is accepted."""

    async def test() -> None:
        batcher, _ = batcher_of(Paced(), tokens=8, queue=8000)
        await batcher.submit(encoding(0), soon())
        flood = [asyncio.create_task(batcher.submit(encoding(number), soon(60, NOISY))) for number in range(50)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            batcher.check(soon(0.3, NOISY))
        assert number_of(await batcher.submit(encoding(7), soon(0.3, POLITE))) == 7
        for task in flood:
            task.cancel()
        await batcher.close()

    in_loop(test)
