"""`Batcher.run_in_background`: callers are served first, and the work is bounded."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from service.errors import DeadlinePassed, InferenceFailed, Overloaded, ShuttingDown
from service.inference.batcher import BACKGROUND_JOBS
from tests.support.batching import BusyBatcher, Runner, batcher_of, encoding, in_loop, number_of, soon


def late(seconds: float = 10) -> float:
    return asyncio.get_running_loop().time() + seconds


def adds(order: list[object], number: int) -> Callable[[], int]:
    def work() -> int:
        order.append(number)
        return number

    return work


def test_callers_are_served_before_work_that_waited_longer() -> None:
    async def test() -> None:
        async with BusyBatcher() as busy:
            order: list[object] = busy.runner.batches  # type: ignore[assignment]
            jobs = [asyncio.ensure_future(busy.batcher.run_in_background(adds(order, n), late())) for n in (101, 102)]
            await asyncio.sleep(0)
            callers = await busy.submit(1, 2)
            busy.unblock()
            assert await asyncio.gather(*jobs) == [101, 102]
            assert [number_of(each) for each in await asyncio.gather(*callers)] == [1, 2]
            assert order == [[0], [1, 2], 101, 102]

    in_loop(test)


def test_caller_who_comes_between_two_jobs_is_next() -> None:
    async def test() -> None:
        runner = Runner()
        batcher, _ = batcher_of(runner)
        order: list[object] = runner.batches  # type: ignore[assignment]
        started, go_on = threading.Event(), threading.Event()

        def first() -> None:
            started.set()
            assert go_on.wait(10)

        jobs = [
            asyncio.ensure_future(batcher.run_in_background(first, late())),
            asyncio.ensure_future(batcher.run_in_background(adds(order, 102), late())),
        ]
        await asyncio.to_thread(started.wait, 10)
        caller = asyncio.ensure_future(batcher.submit(encoding(1), soon()))
        await asyncio.sleep(0.01)
        go_on.set()
        await asyncio.gather(caller, *jobs)
        assert order == [[1], 102]
        await batcher.close()

    in_loop(test)


def test_one_of_several_runners_stays_free_for_callers() -> None:
    async def test() -> None:
        batcher, _ = batcher_of(Runner(), runners=2)
        go_on = threading.Event()
        jobs = [asyncio.ensure_future(batcher.run_in_background(lambda: go_on.wait(10), late())) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert batcher.running == 1
        assert number_of(await batcher.submit(encoding(7), soon())) == 7
        go_on.set()
        assert await asyncio.gather(*jobs) == [True] * 3
        await batcher.close()

    in_loop(test)


def test_work_is_refused_while_a_batch_of_callers_waits_or_too_much_work_does() -> None:
    async def test() -> None:
        async with BusyBatcher() as busy:
            jobs = [
                asyncio.ensure_future(busy.batcher.run_in_background(lambda: None, late()))
                for _ in range(BACKGROUND_JOBS)
            ]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await busy.batcher.run_in_background(lambda: None, late())
            busy.unblock()
            await asyncio.gather(*jobs)
        async with BusyBatcher() as busy:
            callers = await busy.submit(*range(20, 36))  # one batch is given to the runner ahead
            with pytest.raises(Overloaded):
                await busy.batcher.run_in_background(lambda: None, late())
            busy.unblock()
            await asyncio.gather(*callers)

    in_loop(test)


def test_late_and_cancelled_work_is_never_run() -> None:
    async def test() -> None:
        async with BusyBatcher() as busy:
            order: list[object] = []
            cancelled = asyncio.ensure_future(busy.batcher.run_in_background(adds(order, 1), late()))
            with pytest.raises(DeadlinePassed):
                await busy.batcher.run_in_background(adds(order, 2), late(0.01))
            cancelled.cancel()
            busy.unblock()
            assert await busy.batcher.run_in_background(adds(order, 3), late()) == 3
            assert order == [3]

    in_loop(test)


def test_failed_work_is_reported_and_callers_are_served_on() -> None:
    async def test() -> None:
        batcher, reports = batcher_of(Runner())
        with pytest.raises(InferenceFailed):
            await batcher.run_in_background(lambda: 1 // 0, late())
        assert number_of(await batcher.submit(encoding(1), soon())) == 1
        assert len(reports) == 1  # work is in no figure of the batches
        await batcher.close()

    in_loop(test)


def test_waiting_work_is_refused_at_the_end() -> None:
    async def test() -> None:
        async with BusyBatcher() as busy:
            job = asyncio.ensure_future(busy.batcher.run_in_background(lambda: None, late()))
            await asyncio.sleep(0)
            busy.batcher.refuse()
            with pytest.raises(ShuttingDown):
                await job
            with pytest.raises(ShuttingDown):
                await busy.batcher.run_in_background(lambda: None, late())

    in_loop(test)
