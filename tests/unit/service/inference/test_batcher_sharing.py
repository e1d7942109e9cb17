"""`service.inference.batcher`: shared runs, lone tickets, prepared batches."""

import asyncio
import threading

import pytest

from service.errors import DeadlinePassed, InferenceFailed, ShuttingDown
from service.inference.batcher import Batcher, BatcherLimits
from service.inference.cache import InferenceResult
from service.inference.packing import Packing
from tests.support.batching import (
    MAX_TOKENS,
    POISON,
    BusyBatcher,
    Runner,
    batcher_of,
    encoding,
    in_loop,
    number_of,
    soon,
)


def test_callers_with_one_key_share_one_run() -> None:
    """The encoding of the first caller is run once; all get its result. Another key, or no key, has its own run."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            shared = await busy.submit(1, 2, 3, key=b"k")
            apart = [*await busy.submit(4, key=b"other"), *await busy.submit(5)]
            assert busy.batcher.depth == 3
            busy.unblock()
            assert [number_of(answer) for answer in await asyncio.gather(*shared, *apart)] == [1, 1, 1, 4, 5]
            assert busy.runner.batches == [[0], [1, 4, 5]]

    in_loop(test)


def test_cancelled_and_late_callers_do_not_affect_a_shared_entry() -> None:
    """The first of four callers is cancelled, the second late: the entry runs for the others."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            (first,) = await busy.submit(1, key=b"k")
            (late,) = await busy.submit(1, key=b"k", seconds=0.02)
            patient = await busy.submit(1, 1, key=b"k")
            first.cancel()
            with pytest.raises(DeadlinePassed):
                await late
            assert busy.batcher.depth == 1
            busy.unblock()
            assert [number_of(answer) for answer in await asyncio.gather(*patient)] == [1, 1]
            assert busy.runner.batches == [[0], [1]]

    in_loop(test)


def test_entry_without_callers_is_never_run() -> None:
    """It cannot be joined afterwards: the next caller with its key creates a new entry."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            (first,) = await busy.submit(1, key=b"k")
            (late,) = await busy.submit(1, key=b"k", seconds=0.02)
            first.cancel()
            await asyncio.gather(first, late, return_exceptions=True)
            assert (busy.batcher.depth, busy.batcher.tokens, busy.batcher.has_entry(b"k")) == (0, 0, False)
            (next_one,) = await busy.submit(2, key=b"k")
            busy.unblock()
            assert number_of(await next_one) == 2
            assert busy.runner.batches == [[0], [2]]

    in_loop(test)


def test_caller_that_joins_a_running_entry_gets_its_result() -> None:
    """Even if its deadline passes during the run, and if the first caller was cancelled."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            (began,) = await busy.submit(1, key=b"k")
            await busy.end_run()
            assert busy.batcher.has_entry(b"k")
            joined = [asyncio.create_task(busy.batcher.join(b"k", soon(seconds))) for seconds in (10, 0.01)]
            await asyncio.sleep(0.03)
            began.cancel()
            busy.unblock()
            assert [number_of(answer) for answer in await asyncio.gather(*joined)] == [1, 1]
            assert busy.runner.batches == [[0], [1]]
            assert not busy.batcher.has_entry(b"k")

    in_loop(test)


def test_failed_run_fails_all_its_callers_and_no_later_one() -> None:
    """Each gets an error object of its own; the key is free again."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            shared = await busy.submit(POISON, POISON, key=b"k")
            busy.unblock()
            results = await asyncio.gather(*shared, return_exceptions=True)
            assert [type(result) for result in results] == [InferenceFailed] * 2
            assert results[0] is not results[1]
            assert number_of(await busy.batcher.submit(encoding(1), soon(), b"k")) == 1

    in_loop(test)


def test_refuse_settles_all_callers_of_a_shared_entry() -> None:
    async def test() -> None:
        async with BusyBatcher() as busy:
            shared = await busy.submit(1, 1, key=b"k")
            busy.batcher.refuse()
            results = await asyncio.gather(*shared, return_exceptions=True)
            assert [type(result) for result in results] == [ShuttingDown] * 2
            assert not busy.batcher.has_entry(b"k")

    in_loop(test)


def test_result_is_stored_before_its_key_is_released() -> None:
    """At every moment a text is in flight or in the cache; otherwise it would be computed again."""

    async def test() -> None:
        known: dict[bytes, InferenceResult] = {}
        limits = BatcherLimits(Packing(64, 1.0), 10_000, 60, 1, MAX_TOKENS)
        batcher = Batcher(Runner(), limits, lambda _report: None, known.__setitem__)
        task = asyncio.create_task(batcher.submit(encoding(1), soon(), b"k"))
        await asyncio.sleep(0)
        while not task.done():
            assert batcher.has_entry(b"k") or b"k" in known
            await asyncio.sleep(0)
        assert number_of(known[b"k"]) == 1
        await batcher.submit(encoding(2), soon())
        assert list(known) == [b"k"]
        await batcher.close()

    in_loop(test)


@pytest.mark.parametrize(("length", "lone"), [(15, False), (23, False), (24, True), (100, True)])
def test_single_long_entry_runs_as_a_lone_one(length: int, lone: bool) -> None:
    """From `lone_tokens` on: shorter entries are done before a second thread has woken up."""

    async def test() -> None:
        runner = Runner()
        batcher, _ = batcher_of(runner, lone=24)
        await batcher.submit(encoding(1, length), soon())
        assert runner.lone == [lone]
        await batcher.close()

    in_loop(test)


def test_entry_beside_others_is_not_lone() -> None:
    """Neither during another run, nor in a batch, nor while another entry waits."""

    async def test() -> None:
        runner = Runner()
        runner.blocked = True
        batcher, _ = batcher_of(runner, runners=2, lone=8)

        def submitted(*numbers: int) -> list["asyncio.Task[InferenceResult]"]:
            return [asyncio.create_task(batcher.submit(encoding(number, 64), soon())) for number in numbers]

        tasks = submitted(1)
        await runner.until_started()
        tasks += submitted(2)
        await runner.until_started()
        assert runner.lone == [True, False]
        tasks += submitted(3, 4)  # these wait; as a runner frees up, the other one still runs
        await asyncio.sleep(0.01)
        runner.blocked = False
        runner.released.release(2)
        await asyncio.gather(*tasks)
        assert runner.lone[2:] == [False, False]
        runner.lone.clear()
        await asyncio.gather(*submitted(5, 6))  # two that arrive together
        assert runner.lone == [False, False]
        await batcher.close()

    in_loop(test)


def test_full_batch_is_prepared_before_a_runner_is_free() -> None:
    """Exactly one. Later entries join those that still wait. The runner takes the batch without waiting for the
    loop."""

    async def test() -> None:
        async with BusyBatcher(tokens=16) as busy:
            ready = await busy.submit(1, 2)
            assert busy.batcher.depth == 0
            waiting = await busy.submit(3, 4)
            assert busy.batcher.depth == 2
            busy.unblock()
            await asyncio.gather(*ready, *waiting)
            assert busy.runner.batches == [[0], [1, 2], [3, 4]]

    in_loop(test)


def test_partial_batch_stays_in_the_queue() -> None:
    """There it can still grow, and its callers can still leave."""

    async def test() -> None:
        async with BusyBatcher(tokens=24) as busy:
            first = await busy.submit(1, 2)
            assert busy.batcher.depth == 2
            busy.unblock()
            await asyncio.gather(*first)

    in_loop(test)


def test_prepared_entry_without_callers_is_not_run() -> None:
    """If its callers are late or gone when the runner takes the batch; a late caller gets its error."""

    async def test() -> None:
        async with BusyBatcher(tokens=24) as busy:
            (late,) = await busy.submit(1, seconds=0.2)
            (gone,) = await busy.submit(2)
            (patient,) = await busy.submit(3)
            assert busy.batcher.depth == 0
            gone.cancel()
            await asyncio.sleep(0.3)
            busy.unblock()
            assert number_of(await patient) == 3
            with pytest.raises(DeadlinePassed):
                await late
            assert busy.runner.batches == [[0], [3]]
            assert [report.rows for report in busy.reports] == [1, 1]

    in_loop(test)


def test_batch_without_callers_is_not_run_and_frees_its_runner() -> None:
    """There is no report, and the next entry is answered."""

    async def test() -> None:
        async with BusyBatcher(tokens=16) as busy:
            late = await busy.submit(1, 2, seconds=0.02)
            await asyncio.sleep(0.04)
            busy.unblock()
            results = await asyncio.gather(*late, return_exceptions=True)
            assert [type(result) for result in results] == [DeadlinePassed] * 2
            assert number_of(await busy.batcher.submit(encoding(3), soon())) == 3
            assert busy.runner.batches == [[0], [3]]
            assert len(busy.reports) == 2

    in_loop(test)


def test_caller_that_joins_a_skipped_entry_is_answered() -> None:
    """The runner skips an entry without callers; a caller that joins at that moment puts it back into the queue."""

    async def test() -> None:
        async with BusyBatcher(tokens=16) as busy:
            first = await busy.submit(1, key=b"k", length=16)
            assert busy.batcher.depth == 0
            first[0].cancel()
            await asyncio.sleep(0)
            assert busy.batcher.has_entry(b"k")
            busy.unblock()
            threading.Event().wait(0.05)  # only the runner's thread goes on, and has looked when the next one joins
            assert number_of(await busy.batcher.submit(encoding(2), soon(), b"k")) == 1
            assert busy.runner.batches == [[0], [1]]

    in_loop(test)
