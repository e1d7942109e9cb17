"""`service.inference.batcher`: entries of a batch are independent; late or excess entries get their error."""

import asyncio
import threading

import pytest

from service.errors import DeadlinePassed, InferenceFailed, Overloaded, ShuttingDown
from tests.support.batching import (
    POISON,
    BusyBatcher,
    Runner,
    batcher_of,
    encoding,
    in_loop,
    number_of,
    soon,
    verdict_of,
)


def test_waiting_entries_run_together_when_a_runner_is_free() -> None:
    """Without a timer: a single entry runs at once, entries that arrive meanwhile run as one batch."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            tasks = await busy.submit(1, 2, 3)
            busy.unblock()
            assert [number_of(answer) for answer in await asyncio.gather(*tasks)] == [1, 2, 3]
            assert busy.runner.batches == [[0], [1, 2, 3]]

    in_loop(test)


def test_cancelled_entry_leaves_the_queue_and_the_others_are_answered() -> None:
    """The entry is never run; the other entries of its batch get their results."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            tasks = await busy.submit(1, 2, 3)
            tasks[1].cancel()
            await asyncio.sleep(0)
            assert busy.batcher.depth == 2
            busy.unblock()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[1], asyncio.CancelledError)
            assert busy.runner.batches == [[0], [1, 3]]

    in_loop(test)


def test_caller_cancelled_during_a_run_does_not_affect_its_batch() -> None:
    async def test() -> None:
        async with BusyBatcher() as busy:
            tasks = await busy.submit(1, 2)
            busy.runner.released.release()  # ends entry 0's run only; the next batch is blocked
            await busy.runner.until_started()
            tasks[0].cancel()
            busy.unblock()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            assert number_of(results[1]) == 2

    in_loop(test)


def test_model_error_reaches_every_caller_of_its_batch_and_the_next_entry_is_answered() -> None:
    """Each caller of the failed batch gets an error object of its own; the next entry is answered."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            tasks = await busy.submit(1, POISON, 2)
            busy.unblock()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results] == [InferenceFailed] * 3
            assert len({id(result) for result in results}) == 3
            assert number_of(await busy.batcher.submit(encoding(5), soon())) == 5
            assert [type(report.error) for report in busy.reports] == [type(None), RuntimeError, type(None)]

    in_loop(test)


def test_too_few_rows_from_the_runner_fail_the_whole_batch() -> None:
    """Rows cannot be matched to callers, so no caller gets the result of another."""

    async def test() -> None:
        batcher, _ = batcher_of(lambda encodings, _lone: [verdict_of(0)] * (len(encodings) - 1))
        results = await asyncio.gather(
            *(batcher.submit(encoding(number), soon()) for number in (1, 2)), return_exceptions=True
        )
        assert [type(result) for result in results] == [InferenceFailed] * 2
        await batcher.close()

    in_loop(test)


def test_an_entry_whose_deadline_passes_in_the_queue_is_never_run() -> None:
    """Its caller gets the error at the deadline, not when the runner is free."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            (late,) = await busy.submit(1, seconds=0.05)
            (patient,) = await busy.submit(2)
            with pytest.raises(DeadlinePassed):
                await late
            busy.unblock()
            await patient
            assert busy.runner.batches == [[0], [2]]

    in_loop(test)


def test_a_deadline_that_has_passed_already_is_not_queued() -> None:
    """An entry that is late on arrival is refused without waiting."""

    async def test() -> None:
        runner = Runner()
        batcher, _ = batcher_of(runner)
        with pytest.raises(DeadlinePassed):
            await batcher.submit(encoding(1), soon(-1))
        assert runner.batches == []
        await batcher.close()

    in_loop(test)


def test_deadline_missed_while_the_loop_was_busy_still_counts() -> None:
    """If the loop is blocked past a deadline, the timer fires too late; the entry is dropped when it is packed."""

    async def test() -> None:
        runner = Runner()
        batcher, _ = batcher_of(runner)
        late = asyncio.create_task(batcher.submit(encoding(1), soon(0.02)))
        asyncio.get_running_loop().call_soon(threading.Event().wait, 0.1)  # between submitting and packing
        with pytest.raises(DeadlinePassed):
            await late
        assert runner.batches == []
        await batcher.close()

    in_loop(test)


def test_full_queue_refuses_at_once_with_retry_after() -> None:
    """At the token limit an entry is refused with an estimate; when the queue has drained, entries are accepted."""

    async def test() -> None:
        async with BusyBatcher(queue=16) as busy:
            tasks = await busy.submit(1, 2)
            with pytest.raises(Overloaded) as refused:
                await busy.batcher.submit(encoding(3), soon())
            assert 1 <= refused.value.retry_after <= 60
            busy.unblock()
            await asyncio.gather(*tasks)
            assert number_of(await busy.batcher.submit(encoding(4), soon())) == 4

    in_loop(test)


def test_close_refuses_waiting_entries_and_finishes_the_run() -> None:
    """New entries are refused too."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            tasks = await busy.submit(1, 2)
            closing = asyncio.create_task(busy.batcher.close())
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results] == [ShuttingDown] * 2
            assert not closing.done()
            busy.unblock()
            await closing
            assert number_of(await busy.first) == 0
            with pytest.raises(ShuttingDown):
                await busy.batcher.submit(encoding(3), soon())

    in_loop(test)


def test_two_runners_work_in_parallel() -> None:
    async def test() -> None:
        runner = Runner()
        runner.blocked = True
        batcher, _ = batcher_of(runner, runners=2)
        tasks = [asyncio.create_task(batcher.submit(encoding(number), soon())) for number in (1, 2)]
        await runner.until_started()
        await runner.until_started()
        assert sorted(runner.batches) == [[1], [2]]
        runner.blocked = False
        runner.released.release(2)
        await asyncio.gather(*tasks)
        await batcher.close()

    in_loop(test)
