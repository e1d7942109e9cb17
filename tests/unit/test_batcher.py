"""`service.inference.batcher`: every entry is settled exactly once, and nobody pays for a neighbour."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoding import Encoding, padded_length
from models.scoring import Logits
from service.errors import DeadlinePassed, InferenceFailed, Overloaded, ServiceError, ShuttingDown
from service.inference.answers import Answer
from service.inference.batcher import Batcher, Infer, Limits
from service.inference.entries import BatchReport
from service.inference.packing import Packing

MAX_TOKENS = 128
POISON = 13
"""An id on which the runner below raises."""


class Runner:
    """A runner that can be held, notes what it ran, raises on POISON, and answers each row with its own number."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.padded: list[tuple[int, int]] = []
        self.lone: list[bool] = []
        self.started = threading.Semaphore(0)
        self.released = threading.Semaphore(0)
        self.held = False

    def __call__(self, encodings: Sequence[Encoding], lone: bool) -> Logits:
        self.lone.append(lone)
        numbers = [encoding.ids[0] for encoding in encodings]
        self.batches.append(numbers)
        length = padded_length(max(len(encoding.ids) for encoding in encodings), MAX_TOKENS)
        self.padded.append((len(encodings), length))
        self.started.release()
        if self.held:
            assert self.released.acquire(timeout=10)
        if POISON in numbers:
            raise RuntimeError("poisoned")
        return np.array([[number] for number in numbers], dtype=np.float32)

    async def until_started(self) -> None:
        assert await asyncio.to_thread(self.started.acquire, timeout=10)


def encoding(number: int, length: int = 8) -> Encoding:
    return Encoding((number,) * length, truncated=False)


def number_of(answer: object) -> float:
    assert isinstance(answer, Answer)
    return float(answer.logits[0])


def batcher_of(
    runner: Infer, *, tokens: int = 64, queue: int = 10_000, runners: int = 1
) -> tuple[Batcher, list[BatchReport]]:
    reports: list[BatchReport] = []
    return Batcher(runner, Limits(Packing(tokens, 1.0), queue, runners, MAX_TOKENS), reports.append), reports


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an async test; anything the loop's exception handler sees (a reply settled twice, say) fails it."""
    seen: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context))
        await asyncio.wait_for(test(), 20)

    asyncio.run(main())
    assert not seen


def soon(seconds: float = 10) -> float:
    return asyncio.get_running_loop().time() + seconds


class Held:
    """A batcher whose only runner is busy with entry 0, so that everything else waits."""

    def __init__(self, **limits: int) -> None:
        self.runner = Runner()
        self.runner.held = True
        self.batcher, self.reports = batcher_of(self.runner, **limits)
        self.first: asyncio.Task[Answer]

    async def __aenter__(self) -> "Held":
        self.first = asyncio.create_task(self.batcher.submit(encoding(0), soon()))
        await self.runner.until_started()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.let_go()
        await asyncio.gather(self.first, return_exceptions=True)
        await self.batcher.close()

    def let_go(self) -> None:
        self.runner.held = False
        self.runner.released.release()

    async def submit(self, *numbers: int, seconds: float = 10) -> list["asyncio.Task[Answer]"]:
        tasks = [asyncio.create_task(self.batcher.submit(encoding(number), soon(seconds))) for number in numbers]
        await asyncio.sleep(0.01)
        return tasks


def test_what_waits_when_a_runner_frees_up_runs_together() -> None:
    """No timer: a lone entry runs at once, those that came meanwhile run as one batch."""

    async def test() -> None:
        async with Held() as held:
            tasks = await held.submit(1, 2, 3)
            held.let_go()
            assert [number_of(answer) for answer in await asyncio.gather(*tasks)] == [1, 2, 3]
            assert held.runner.batches == [[0], [1, 2, 3]]

    in_loop(test)


def test_a_cancelled_caller_leaves_the_queue_and_its_neighbours_alone() -> None:
    """A caller cancelled while waiting is never run, and the others of its batch get their answers."""

    async def test() -> None:
        async with Held() as held:
            tasks = await held.submit(1, 2, 3)
            tasks[1].cancel()
            await asyncio.sleep(0)
            assert held.batcher.depth == 2
            held.let_go()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[1], asyncio.CancelledError)
            assert held.runner.batches == [[0], [1, 3]]

    in_loop(test)


def test_a_caller_cancelled_mid_run_does_not_hurt_its_batch() -> None:
    """Cancelling one caller of a running batch leaves the others' answers as they are."""

    async def test() -> None:
        async with Held() as held:
            tasks = await held.submit(1, 2)
            held.runner.released.release()  # ends entry 0's run only; the next batch is held
            await held.runner.until_started()
            tasks[0].cancel()
            held.let_go()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(results[0], asyncio.CancelledError)
            assert number_of(results[1]) == 2

    in_loop(test)


def test_a_model_error_reaches_every_caller_of_its_batch_and_the_batcher_lives_on() -> None:
    """Each caller of the failed batch gets an error object of its own; the next entry is answered."""

    async def test() -> None:
        async with Held() as held:
            tasks = await held.submit(1, POISON, 2)
            held.let_go()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results] == [InferenceFailed] * 3
            assert len({id(result) for result in results}) == 3
            assert number_of(await held.batcher.submit(encoding(5), soon())) == 5
            assert [type(report.error) for report in held.reports] == [type(None), RuntimeError, type(None)]

    in_loop(test)


def test_a_runner_that_gives_too_few_rows_is_an_error_for_all() -> None:
    """Rows cannot be matched to callers, so none of them is handed a neighbour's answer."""

    async def test() -> None:
        batcher, _ = batcher_of(lambda encodings, _lone: np.zeros((len(encodings) - 1, 1), np.float32))
        results = await asyncio.gather(
            *(batcher.submit(encoding(number), soon()) for number in (1, 2)), return_exceptions=True
        )
        assert [type(result) for result in results] == [InferenceFailed] * 2
        await batcher.close()

    in_loop(test)


def test_an_entry_whose_deadline_passes_in_the_queue_is_never_run() -> None:
    """Its caller hears so at the deadline, not when the runner is free again."""

    async def test() -> None:
        async with Held() as held:
            (late,) = await held.submit(1, seconds=0.05)
            (patient,) = await held.submit(2)
            with pytest.raises(DeadlinePassed):
                await late
            held.let_go()
            await patient
            assert held.runner.batches == [[0], [2]]

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


def test_a_deadline_missed_while_the_loop_was_busy_still_counts() -> None:
    """When the loop was held up past a deadline, its timer comes too late; the entry is dropped as it is packed."""

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


def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    """At the limit in tokens an entry is refused with an estimate; when the queue has drained it is taken."""

    async def test() -> None:
        async with Held(queue=16) as held:
            tasks = await held.submit(1, 2)
            with pytest.raises(Overloaded) as refused:
                await held.batcher.submit(encoding(3), soon())
            assert 1 <= refused.value.retry_after <= 60
            held.let_go()
            await asyncio.gather(*tasks)
            assert number_of(await held.batcher.submit(encoding(4), soon())) == 4

    in_loop(test)


def test_closing_settles_what_waits_and_finishes_what_runs() -> None:
    """On shutdown the running batch is answered, the waiting entries are given back, new ones are refused."""

    async def test() -> None:
        async with Held() as held:
            tasks = await held.submit(1, 2)
            closing = asyncio.create_task(held.batcher.close())
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(result) for result in results] == [ShuttingDown] * 2
            assert not closing.done()
            held.let_go()
            await closing
            assert number_of(await held.first) == 0
            with pytest.raises(ShuttingDown):
                await held.batcher.submit(encoding(3), soon())

    in_loop(test)


def test_two_runners_work_side_by_side() -> None:
    """With two runners two batches run at the same time."""

    async def test() -> None:
        runner = Runner()
        runner.held = True
        batcher, _ = batcher_of(runner, runners=2)
        tasks = [asyncio.create_task(batcher.submit(encoding(number), soon())) for number in (1, 2)]
        await runner.until_started()
        await runner.until_started()
        assert sorted(runner.batches) == [[1], [2]]
        runner.held = False
        runner.released.release(2)
        await asyncio.gather(*tasks)
        await batcher.close()

    in_loop(test)


STEP = st.one_of(
    st.tuples(st.just("submit"), st.integers(1, MAX_TOKENS)),
    st.tuples(st.just("poison"), st.integers(1, MAX_TOKENS)),
    st.tuples(st.just("cancel"), st.integers(0, 200)),
    st.tuples(st.just("finish"), st.integers(1, 3)),
    st.tuples(st.just("turn"), st.integers(1, 5)),
    st.tuples(st.just("hurry"), st.integers(1, MAX_TOKENS)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, max_size=60), st.integers(1, 3), st.integers(64, 600), st.integers(8, 256))
def test_every_entry_is_settled_exactly_once(
    steps: list[tuple[str, int]], runners: int, queue: int, tokens: int
) -> None:
    """Whatever is submitted, cancelled, poisoned, late or shut down, each caller gets its own row or one error."""

    async def test() -> None:
        script = _Script(runners, queue, tokens)
        for name, argument in steps:
            await script.step(name, argument)
        await script.finish()
        script.check()

    in_loop(test)


class _Script:
    """Plays the steps against a batcher whose runs end only when told, and keeps what everyone was told."""

    def __init__(self, runners: int, queue: int, tokens: int) -> None:
        self.runner = _Numbered()
        self.batcher, _ = batcher_of(self.runner, tokens=tokens, queue=queue, runners=runners)
        self.tokens = tokens
        self.tasks: list[asyncio.Task[Answer]] = []

    async def step(self, name: str, argument: int) -> None:
        if name in ("submit", "poison", "hurry"):
            self._submit(argument, poison=name == "poison", seconds=0.002 if name == "hurry" else 20)
        elif name == "cancel" and self.tasks:
            self.tasks[argument % len(self.tasks)].cancel()
        elif name == "finish":
            self.runner.gate.release(argument)
        for _ in range(argument if name == "turn" else 0):
            await asyncio.sleep(0.0005)

    def _submit(self, length: int, *, poison: bool, seconds: float) -> None:
        number = len(self.tasks)
        if poison:
            self.runner.poisoned.add(number)
        self.tasks.append(asyncio.create_task(self.batcher.submit(encoding(number, length), soon(seconds))))

    async def finish(self) -> None:
        await asyncio.sleep(0)
        closing = asyncio.create_task(self.batcher.close())
        self.runner.gate.release(10_000)
        await closing
        await asyncio.wait_for(asyncio.gather(*self.tasks, return_exceptions=True), 10)

    def check(self) -> None:
        ran = [number for batch in self.runner.batches for number, _ in batch]
        assert len(ran) == len(set(ran)), "an entry ran twice"
        for batch in self.runner.batches:
            padded = padded_length(max(length for _, length in batch), MAX_TOKENS) * len(batch)
            assert len(batch) == 1 or padded <= self.tokens, "the budget was exceeded"
        for number, task in enumerate(self.tasks):
            assert task.done()
            self._check_answer(number, task, number in ran)
        assert self.batcher.depth == self.batcher.tokens == 0

    def _check_answer(self, number: int, task: "asyncio.Task[Answer]", ran: bool) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            assert ran
            assert number_of(task.result()) == number
        else:
            assert isinstance(error, ServiceError)
            assert isinstance(error, InferenceFailed) == ran, "told of a failed run without one, or the reverse"


class _Numbered:
    """Answers each row with its number; each run waits for the gate and fails if it holds a poisoned entry."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.poisoned: set[int] = set()
        self.batches: list[list[tuple[int, int]]] = []

    def __call__(self, encodings: Sequence[Encoding], _lone: bool) -> Logits:
        batch = [(encoding.ids[0], len(encoding.ids)) for encoding in encodings]
        self.batches.append(batch)
        assert self.gate.acquire(timeout=10)
        if self.poisoned & {number for number, _ in batch}:
            raise RuntimeError("poisoned")
        return np.array([[number] for number, _ in batch], dtype=np.float32)
