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
    runner: Infer, *, tokens: int = 64, queue: int = 10_000, runners: int = 1, lone: int | None = None
) -> tuple[Batcher, list[BatchReport]]:
    reports: list[BatchReport] = []
    return Batcher(runner, Limits(Packing(tokens, 1.0), queue, runners, MAX_TOKENS, lone), reports.append), reports


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

    async def submit(
        self, *numbers: int, seconds: float = 10, key: bytes | None = None, length: int = 8
    ) -> list["asyncio.Task[Answer]"]:
        tasks = [
            asyncio.create_task(self.batcher.submit(encoding(number, length), soon(seconds), key)) for number in numbers
        ]
        await asyncio.sleep(0.01)
        return tasks

    async def end_run(self) -> None:
        """Let the run under way end, and wait for the next one, which is held."""
        self.runner.released.release()
        await self.runner.until_started()


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


def test_callers_with_one_key_share_one_run() -> None:
    """The first one's encoding is run, once; each gets its answer. Another key, or none, is run for itself."""

    async def test() -> None:
        async with Held() as held:
            shared = await held.submit(1, 2, 3, key=b"k")
            apart = [*await held.submit(4, key=b"other"), *await held.submit(5)]
            assert held.batcher.depth == 3
            held.let_go()
            assert [number_of(answer) for answer in await asyncio.gather(*shared, *apart)] == [1, 1, 1, 4, 5]
            assert held.runner.batches == [[0], [1, 4, 5]]

    in_loop(test)


def test_who_leaves_or_is_late_leaves_the_run_to_the_others() -> None:
    """The first of four is cancelled, the second late: the entry stays for the rest."""

    async def test() -> None:
        async with Held() as held:
            (first,) = await held.submit(1, key=b"k")
            (late,) = await held.submit(1, key=b"k", seconds=0.02)
            patient = await held.submit(1, 1, key=b"k")
            first.cancel()
            with pytest.raises(DeadlinePassed):
                await late
            assert held.batcher.depth == 1
            held.let_go()
            assert [number_of(answer) for answer in await asyncio.gather(*patient)] == [1, 1]
            assert held.runner.batches == [[0], [1]]

    in_loop(test)


def test_an_entry_that_all_have_left_is_never_run() -> None:
    """Nor does anybody find it afterwards: the next caller with its key begins anew."""

    async def test() -> None:
        async with Held() as held:
            (first,) = await held.submit(1, key=b"k")
            (late,) = await held.submit(1, key=b"k", seconds=0.02)
            first.cancel()
            await asyncio.gather(first, late, return_exceptions=True)
            assert (held.batcher.depth, held.batcher.tokens, held.batcher.shares(b"k")) == (0, 0, False)
            (next_one,) = await held.submit(2, key=b"k")
            held.let_go()
            assert number_of(await next_one) == 2
            assert held.runner.batches == [[0], [2]]

    in_loop(test)


def test_who_joins_a_run_under_way_gets_its_answer() -> None:
    """Even with a deadline that passes meanwhile, and when the one who began it has left."""

    async def test() -> None:
        async with Held() as held:
            (began,) = await held.submit(1, key=b"k")
            await held.end_run()
            assert held.batcher.shares(b"k")
            joined = [asyncio.create_task(held.batcher.join(b"k", soon(seconds))) for seconds in (10, 0.01)]
            await asyncio.sleep(0.03)
            began.cancel()
            held.let_go()
            assert [number_of(answer) for answer in await asyncio.gather(*joined)] == [1, 1]
            assert held.runner.batches == [[0], [1]]
            assert not held.batcher.shares(b"k")

    in_loop(test)


def test_a_failed_run_fails_all_who_share_it_and_no_later_one() -> None:
    """Each gets an error object of its own; the key is free again."""

    async def test() -> None:
        async with Held() as held:
            shared = await held.submit(POISON, POISON, key=b"k")
            held.let_go()
            results = await asyncio.gather(*shared, return_exceptions=True)
            assert [type(result) for result in results] == [InferenceFailed] * 2
            assert results[0] is not results[1]
            assert number_of(await held.batcher.submit(encoding(1), soon(), b"k")) == 1

    in_loop(test)


def test_closing_settles_all_who_share() -> None:
    """A queue that is given back gives back every caller."""

    async def test() -> None:
        async with Held() as held:
            shared = await held.submit(1, 1, key=b"k")
            held.batcher.refuse()
            results = await asyncio.gather(*shared, return_exceptions=True)
            assert [type(result) for result in results] == [ShuttingDown] * 2
            assert not held.batcher.shares(b"k")

    in_loop(test)


def test_an_answer_is_remembered_before_its_key_is_free() -> None:
    """At no moment is a text neither in flight nor known: who came then would have it computed again."""

    async def test() -> None:
        known: dict[bytes, Answer] = {}
        limits = Limits(Packing(64, 1.0), 10_000, 1, MAX_TOKENS)
        batcher = Batcher(Runner(), limits, lambda _report: None, known.__setitem__)
        task = asyncio.create_task(batcher.submit(encoding(1), soon(), b"k"))
        await asyncio.sleep(0)
        while not task.done():
            assert batcher.shares(b"k") or b"k" in known
            await asyncio.sleep(0)
        assert number_of(known[b"k"]) == 1
        await batcher.submit(encoding(2), soon())
        assert list(known) == [b"k"]
        await batcher.close()

    in_loop(test)


@pytest.mark.parametrize(("length", "lone"), [(15, False), (16, False), (17, True), (100, True)])
def test_a_long_entry_without_company_runs_as_a_lone_one(length: int, lone: bool) -> None:
    """From so many padded tokens on: shorter ones are done before a second thread is awake."""

    async def test() -> None:
        runner = Runner()
        batcher, _ = batcher_of(runner, lone=24)
        await batcher.submit(encoding(1, length), soon())
        assert runner.lone == [lone]
        await batcher.close()

    in_loop(test)


def test_an_entry_with_company_is_not_lone() -> None:
    """Neither beside a run under way, nor as one of several, nor while another waits."""

    async def test() -> None:
        runner = Runner()
        runner.held = True
        batcher, _ = batcher_of(runner, runners=2, lone=8)

        def submitted(*numbers: int) -> list["asyncio.Task[Answer]"]:
            return [asyncio.create_task(batcher.submit(encoding(number, 64), soon())) for number in numbers]

        tasks = submitted(1)
        await runner.until_started()
        tasks += submitted(2)
        await runner.until_started()
        assert runner.lone == [True, False]
        tasks += submitted(3, 4)  # these wait; as a runner frees up, the other one still runs
        await asyncio.sleep(0.01)
        runner.held = False
        runner.released.release(2)
        await asyncio.gather(*tasks)
        assert runner.lone[2:] == [False, False]
        runner.lone.clear()
        await asyncio.gather(*submitted(5, 6))  # two that arrive together
        assert runner.lone == [False, False]
        await batcher.close()

    in_loop(test)


def test_a_full_batch_is_made_ready_before_a_runner_is_free() -> None:
    """One, and no more: what comes later joins those that still wait. Its runner takes it without asking the loop."""

    async def test() -> None:
        async with Held(tokens=16) as held:
            ready = await held.submit(1, 2)
            assert held.batcher.depth == 0
            waiting = await held.submit(3, 4)
            assert held.batcher.depth == 2
            held.let_go()
            await asyncio.gather(*ready, *waiting)
            assert held.runner.batches == [[0], [1, 2], [3, 4]]

    in_loop(test)


def test_less_than_a_full_batch_waits_for_company() -> None:
    """It stays in the queue, where it can still be packed better and still be left."""

    async def test() -> None:
        async with Held(tokens=24) as held:
            first = await held.submit(1, 2)
            assert held.batcher.depth == 2
            held.let_go()
            await asyncio.gather(*first)

    in_loop(test)


def test_what_is_left_while_it_is_made_ready_is_not_run() -> None:
    """Late, or its callers gone, when the runner takes the batch: left out, and the late one hears of it."""

    async def test() -> None:
        async with Held(tokens=24) as held:
            (late,) = await held.submit(1, seconds=0.03)
            (gone,) = await held.submit(2)
            (patient,) = await held.submit(3)
            assert held.batcher.depth == 0
            gone.cancel()
            await asyncio.sleep(0.05)
            held.let_go()
            assert number_of(await patient) == 3
            with pytest.raises(DeadlinePassed):
                await late
            assert held.runner.batches == [[0], [3]]
            assert [report.rows for report in held.reports] == [1, 1]

    in_loop(test)


def test_a_batch_that_all_have_left_is_not_run_and_frees_its_runner() -> None:
    """No report, no run; the next entry is answered."""

    async def test() -> None:
        async with Held(tokens=16) as held:
            late = await held.submit(1, 2, seconds=0.02)
            await asyncio.sleep(0.04)
            held.let_go()
            results = await asyncio.gather(*late, return_exceptions=True)
            assert [type(result) for result in results] == [DeadlinePassed] * 2
            assert number_of(await held.batcher.submit(encoding(3), soon())) == 3
            assert held.runner.batches == [[0], [3]]
            assert len(held.reports) == 2

    in_loop(test)


def test_who_joins_what_was_left_while_made_ready_is_answered() -> None:
    """The runner finds nobody waiting and leaves it out; a caller who came in that moment puts it back in the queue."""

    async def test() -> None:
        async with Held(tokens=16) as held:
            first = await held.submit(1, key=b"k", length=16)
            assert held.batcher.depth == 0
            first[0].cancel()
            await asyncio.sleep(0)
            assert held.batcher.shares(b"k")
            held.let_go()
            threading.Event().wait(0.05)  # only the runner's thread goes on, and has looked when the next one joins
            assert number_of(await held.batcher.submit(encoding(2), soon(), b"k")) == 1
            assert held.runner.batches == [[0], [1]]

    in_loop(test)


STEP = st.one_of(
    st.tuples(st.just("submit"), st.integers(1, MAX_TOKENS)),
    st.tuples(st.just("share"), st.integers(1, 3)),
    st.tuples(st.just("share, hurry"), st.integers(1, 3)),
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
    """Plays the steps against a batcher whose runs end only when told, and keeps what everyone was told.

    Callers who share have encodings of their own, so that an answer tells whose was run.
    """

    def __init__(self, runners: int, queue: int, tokens: int) -> None:
        self.runner = _Numbered()
        self.batcher, _ = batcher_of(self.runner, tokens=tokens, queue=queue, runners=runners)
        self.tokens = tokens
        self.tasks: list[asyncio.Task[Answer]] = []
        self.keys: dict[int, bytes] = {}

    async def step(self, name: str, argument: int) -> None:
        seconds = 0.002 if name.endswith("hurry") else 20
        if name in ("submit", "poison", "hurry"):
            self._submit(argument, seconds, poison=name == "poison")
        elif name.startswith("share"):
            self.keys[len(self.tasks)] = bytes([argument])
            self._submit(argument, seconds)
        elif name == "cancel" and self.tasks:
            self.tasks[argument % len(self.tasks)].cancel()
        elif name == "finish":
            self.runner.gate.release(argument)
        for _ in range(argument if name == "turn" else 0):
            await asyncio.sleep(0.0005)

    def _submit(self, length: int, seconds: float, *, poison: bool = False) -> None:
        number = len(self.tasks)
        if poison:
            self.runner.poisoned.add(number)
        waiting = self.batcher.submit(encoding(number, length), soon(seconds), self.keys.get(number))
        self.tasks.append(asyncio.create_task(waiting))

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
            keys = [self.keys[number] for number, _ in batch if number in self.keys]
            assert len(keys) == len(set(keys)), "equal texts were run beside each other"
        for number, task in enumerate(self.tasks):
            assert task.done()
            self._check_answer(number, task, set(ran))
        assert self.batcher.depth == self.batcher.tokens == 0
        assert not any(map(self.batcher.shares, self.keys.values()))

    def _check_answer(self, number: int, task: "asyncio.Task[Answer]", ran: set[int]) -> None:
        if task.cancelled():
            return
        error, key = task.exception(), self.keys.get(number)
        mine = {number} if key is None else {other for other, shared in self.keys.items() if shared == key}
        if error is None:
            assert number_of(task.result()) in mine & ran
        else:
            assert isinstance(error, ServiceError)
            failed = isinstance(error, InferenceFailed)
            assert mine & ran if failed else number not in ran or key, (
                "told of a failed run without one, or the reverse"
            )


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
