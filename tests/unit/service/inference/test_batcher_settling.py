"""`service.inference.batcher`: every entry is settled exactly once."""

import asyncio
import threading
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoding import Encoding, padded_length
from models.scoring import Verdict
from service.errors import InferenceFailed, ServiceError
from service.inference.cache import InferenceResult
from tests.support.batching import MAX_TOKENS, batcher_of, encoding, in_loop, number_of, soon, verdict_of

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
    """For any sequence of submitted, cancelled, failing, late and refused entries, each caller gets its own row or one
    error."""

    async def test() -> None:
        script = _Script(runners, queue, tokens)
        for name, argument in steps:
            await script.step(name, argument)
        await script.finish()
        script.check()

    in_loop(test)


class _Script:
    """Runs the steps against a batcher whose runs end only on demand, and records all results. Callers of a shared
    entry have different encodings, so that a result shows which encoding was run."""

    def __init__(self, runners: int, queue: int, tokens: int) -> None:
        self.runner = _Numbered()
        self.batcher, _ = batcher_of(self.runner, tokens=tokens, queue=queue, runners=runners)
        self.tokens = tokens
        self.tasks: list[asyncio.Task[InferenceResult]] = []
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
        assert not any(map(self.batcher.has_entry, self.keys.values()))

    def _check_answer(self, number: int, task: "asyncio.Task[InferenceResult]", ran: set[int]) -> None:
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
                "InferenceFailed without a failed run, or the reverse"
            )


class _Numbered:
    """Returns the number of each row; each run waits for the gate and fails if it has a poisoned entry."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.poisoned: set[int] = set()
        self.batches: list[list[tuple[int, int]]] = []

    def __call__(self, encodings: Sequence[Encoding], _lone: bool) -> list[Verdict]:
        batch = [(encoding.ids[0], len(encoding.ids)) for encoding in encodings]
        self.batches.append(batch)
        assert self.gate.acquire(timeout=10)
        if self.poisoned & {number for number, _ in batch}:
            raise RuntimeError("poisoned")
        return [verdict_of(number) for number, _ in batch]
