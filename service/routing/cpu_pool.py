"""CPU-heavy work on larger inputs goes to threads, so that no single ticket holds the event loop.

Parsing and cleaning are Python: a thread does not make them faster, it lets the loop answer others in between. Callers
take turns, as they do before the model.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, TypeVar

from models.cpu_budget import Budget
from models.errors import TooComplex
from service.context import RequestContext
from service.errors import DeadlinePassed, Overloaded, within_bounds
from service.inference.fair_queue import FairQueue

T = TypeVar("T")

INLINE_BYTES = 4_000
"""Inputs up to this size are handled at once: mostly under 2 ms."""
INLINE_SECONDS = 0.02
"""Made to cost time, they can take 100 ms: then they go to a thread after all. Of CPU, for all that comes in one turn
of the loop together: requests come by the dozen, and each of them could cost it."""
LEAST_INLINE_SECONDS = 0.002
"""With less left of a turn nothing is begun in it."""
THREADS = 2
"""More than two rarely help: they share the interpreter lock, and the tokenizer is fast beside the model."""
MAX_PENDING_BYTES = 16_000_000
"""What waits here is held in memory, and is a second of work or two, unless it was made to cost time."""
PATIENCE = 0.4
"""Share of a request's time that it may have to wait for its turn here; the rest is for the work, and for the model's
queue. With the default of ten seconds all is as before four seconds after a flood."""
SMOOTHING = 0.05
"""Weight of the newest job. Parsing and cleaning follow each other, and one may cost a thousand times the other."""
_RETRY_SECONDS = 1.0


@dataclass(eq=False, frozen=True, slots=True)
class _Job:
    size: int
    work: Callable[[], Any]
    context: RequestContext
    done: "asyncio.Future[Any]"
    took: list[float] = field(default_factory=list)
    """Its seconds, once it was done. Not the job itself is told: what its work raises would hold it, and it that."""


class _Throughput:
    """How long what waits will take, going by the jobs just past; nothing is known before the first."""

    def __init__(self) -> None:
        self._size = self._seconds = 0.0

    def learn(self, size: int, seconds: float) -> None:
        weight = SMOOTHING if self._size else 1.0
        self._size += weight * (size - self._size)
        self._seconds += weight * (seconds - self._seconds)

    def seconds(self, size: int) -> float:
        return self._seconds * size / self._size / THREADS if self._size else 0.0


class _TurnBudget:
    """CPU seconds for all inline work in one turn of the event loop together. Use from one event loop only."""

    def __init__(self, each_turn: float) -> None:
        self._each_turn = each_turn
        self.left = each_turn
        """Of this turn. Negative when the last piece of work took more than was left."""
        self._ends = False

    def take(self, amount: float) -> None:
        self.left -= amount
        if not self._ends:
            self._ends = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self.left, self._ends = self._each_turn, False


class CpuPool:
    """Runs work inline when its input is small, else in one of a few threads. Use from one event loop only."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="prepare")
        self._fair_queue = FairQueue()
        self._numbers = count()
        self._waiting: list[tuple[int, int, _Job]] = []  # a heap: by tag, then in order of arrival
        self._running = 0
        self._throughput = _Throughput()
        self._turn = _TurnBudget(INLINE_SECONDS)

    async def run(self, size: int, work: Callable[[], T], context: RequestContext) -> T:
        """The work's result. `size` is its input's, in bytes or characters.

        Raises:
            Overloaded: too much waits already, or too much of this caller's; or its turn would come too late.
            DeadlinePassed: its turn came too late.
        """
        if self._inline(size):
            with self._spending():
                return work()
        return await self._in_thread(size, work, context)

    async def run_within(self, seconds: float, size: int, work: Callable[[Budget], T], context: RequestContext) -> T:
        """The same for work that keeps to a budget of CPU seconds, out of its request's allowance.

        Raises:
            TooComplex: it is used up.
            Overloaded, DeadlinePassed: as `run`.
        """
        if self._inline(size) and not context.allowance.costly:
            try:
                with self._spending():
                    return _within(context, self._turn.left, work)
            except TooComplex:
                context.allowance.found_costly()
                # It is begun anew where nobody else waits for it, unless it has had all that there is.
                if not context.allowance.has(INLINE_SECONDS):
                    raise
        return await self._in_thread(size, lambda: _within(context, seconds, work), context)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _inline(self, size: int) -> bool:
        return size <= INLINE_BYTES and self._turn.left >= LEAST_INLINE_SECONDS

    @contextmanager
    def _spending(self) -> Iterator[None]:
        started = time.thread_time()
        try:
            yield
        finally:
            self._turn.take(time.thread_time() - started)

    async def _in_thread(self, size: int, work: Callable[[], T], context: RequestContext) -> T:
        wait = self._throughput.seconds(self._fair_queue.ahead(context.caller, size))
        patience = PATIENCE * (context.deadline - asyncio.get_running_loop().time())
        if self._fair_queue.full(context.caller, MAX_PENDING_BYTES) or 0 < patience < wait:
            raise Overloaded(within_bounds(max(wait / 2, _RETRY_SECONDS)))
        job = _Job(size, work, context, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, (self._fair_queue.begin(context.caller, size), next(self._numbers), job))
        self._start()
        try:
            result: T = await job.done
            return result
        finally:
            # What it raises holds this frame, and would hold itself through it: a refused body of megabytes would stay
            # until the collector comes by, which in an idle service is never.
            del job

    def _start(self) -> None:
        while self._waiting and self._running < THREADS:
            tag, _, job = heapq.heappop(self._waiting)
            self._fair_queue.serve(tag)
            self._fair_queue.leave(job.context.caller, job.size)
            if job.done.done():
                continue  # its caller has left
            if job.context.deadline <= asyncio.get_running_loop().time():
                job.done.set_exception(DeadlinePassed())
                continue
            self._running += 1
            future = asyncio.get_running_loop().run_in_executor(self._executor, _timed, job.work, job.took)
            future.add_done_callback(partial(self._finish, job))

    def _finish(self, job: _Job, future: "asyncio.Future[Any]") -> None:
        self._running -= 1
        for seconds in job.took:
            self._throughput.learn(job.size, seconds)
        self._start()
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if job.done.done():
            return
        if error is None:
            job.done.set_result(future.result())
        else:
            job.done.set_exception(error)


def _timed(work: Callable[[], T], took: list[float]) -> T:
    started = time.perf_counter()
    try:
        return work()
    finally:
        took.append(time.perf_counter() - started)


def _within(context: RequestContext, seconds: float, work: Callable[[Budget], T]) -> T:
    with context.allowance.budget(seconds) as budget:
        return work(budget)
