"""A batcher with a runner that tests can block, and helpers to submit to it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import uvloop

from models.encoding import Encoding, padded_length
from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from service.context import RequestContext
from service.inference.batcher import Batcher, BatcherLimits, Infer
from service.inference.cache import InferenceResult
from service.inference.packing import Packing
from service.metrics.batch_report import BatchReport

MAX_TOKENS = 128
POISON = 13
"""An id on which the runner below raises."""


class Runner:
    """A runner that can be blocked, records its batches, raises on POISON, and returns the number of each row."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.padded: list[tuple[int, int]] = []
        self.lone: list[bool] = []
        self.started = threading.Semaphore(0)
        self.released = threading.Semaphore(0)
        self.blocked = False

    def __call__(self, encodings: Sequence[Encoding], lone: bool) -> list[Verdict]:
        self.lone.append(lone)
        numbers = [encoding.ids[0] for encoding in encodings]
        self.batches.append(numbers)
        length = padded_length(max(len(encoding.ids) for encoding in encodings), MAX_TOKENS)
        self.padded.append((len(encodings), length))
        self.started.release()
        if self.blocked:
            assert self.released.acquire(timeout=10)
        if POISON in numbers:
            raise RuntimeError("poisoned")
        return [verdict_of(number) for number in numbers]

    async def until_started(self) -> None:
        assert await asyncio.to_thread(self.started.acquire, timeout=10)


def encoding(number: int, length: int = 8) -> Encoding:
    return Encoding((number,) * length, truncated=False)


def number_of(answer: object) -> float:
    assert isinstance(answer, InferenceResult)
    return float(answer.verdict.department.candidates[0].label)


def verdict_of(number: int) -> Verdict:
    """A verdict that tells its number."""
    return Verdict(FieldVerdict(Outcome.REVIEW, Reason.BELOW_THRESHOLD, (Candidate(str(number), 0.5),)), {})


def batcher_of(
    runner: Infer,
    *,
    tokens: int = 64,
    queue: int = 10_000,
    queue_seconds: float = 60,
    runners: int = 1,
    lone: int | None = None,
) -> tuple[Batcher, list[BatchReport]]:
    reports: list[BatchReport] = []
    return Batcher(
        runner, BatcherLimits(Packing(tokens, 1.0), queue, queue_seconds, runners, MAX_TOKENS, lone), reports.append
    ), reports


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run an async test on the loop that serves; anything its exception handler sees (a reply settled twice, say)
    fails it."""
    seen: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(context))
        await asyncio.wait_for(test(), 20)

    uvloop.run(main())
    assert not seen


def soon(seconds: float = 10, caller: str | None = None) -> RequestContext:
    return RequestContext(asyncio.get_running_loop().time() + seconds, caller)


class BusyBatcher:
    """A batcher whose only runner is blocked on entry 0, so that all other entries wait."""

    def __init__(self, **limits: int) -> None:
        self.runner = Runner()
        self.runner.blocked = True
        self.batcher, self.reports = batcher_of(self.runner, **limits)
        self.first: asyncio.Task[InferenceResult]

    async def __aenter__(self) -> "BusyBatcher":
        self.first = asyncio.create_task(self.batcher.submit(encoding(0), soon()))
        await self.runner.until_started()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.unblock()
        await asyncio.gather(self.first, return_exceptions=True)
        await self.batcher.close()

    def unblock(self) -> None:
        self.runner.blocked = False
        self.runner.released.release()

    async def submit(
        self,
        *numbers: int,
        seconds: float = 10,
        key: bytes | None = None,
        length: int = 8,
        caller: str | None = None,
    ) -> list["asyncio.Task[InferenceResult]"]:
        tasks = [
            asyncio.create_task(self.batcher.submit(encoding(number, length), soon(seconds, caller), key))
            for number in numbers
        ]
        await asyncio.sleep(0.01)
        return tasks

    async def end_run(self) -> None:
        """Let the run under way end, and wait for the next one, which is busy."""
        self.runner.released.release()
        await self.runner.until_started()
