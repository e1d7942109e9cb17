"""Runs CPU-heavy work on larger inputs in threads, so that no single ticket blocks the event loop.

Parsing and cleaning are Python: a thread does not make them faster, but lets the loop answer other requests meanwhile.
Waiting work is queued fairly by caller, as before the model.
"""

import asyncio
import heapq
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
"""Inputs up to this size are processed inline, mostly in less than 2 ms."""
INLINE_SECONDS = 0.02
"""CPU budget of all inline work in one iteration of the event loop. A hostile small input can take 100 ms, and dozens
of requests arrive in one iteration; work that exceeds the budget continues in a thread."""
LEAST_INLINE_SECONDS = 0.002
"""With less than this left of the budget, no inline work starts."""
THREADS = 2
"""More threads rarely help: they share the interpreter lock, and the tokenizer is fast compared with the model."""
MAX_PENDING_BYTES = 16_000_000
"""Waiting inputs stay in memory; this size is one or two seconds of work, unless the inputs are hostile."""
MAX_WAIT_SHARE = 0.4
"""Largest share of a request's remaining time for the wait in this queue; the rest is for the work and for the queue of
the model. With the default timeout of ten seconds the service recovers from a flood within four seconds."""
SMOOTHING = 0.05
"""Weight of the newest job: low, since jobs alternate between parsing and cleaning, whose costs differ up to 1000x."""
_RETRY_SECONDS = 1.0


@dataclass(eq=False, frozen=True, slots=True)
class _Job:
    size: int
    work: Callable[[], Any]
    context: RequestContext
    done: "asyncio.Future[Any]"
    seconds: list[float] = field(default_factory=list)
    """Receives the duration of the work. The worker gets this list and not the job: the traceback of an exception would
    keep the job alive (reference cycle)."""


class _Throughput:
    """Estimates the time for waiting work from moving averages of recent jobs; 0 before the first job."""

    def __init__(self) -> None:
        self._size = self._seconds = 0.0

    def record_job(self, size: int, seconds: float) -> None:
        weight = SMOOTHING if self._size else 1.0
        self._size += weight * (size - self._size)
        self._seconds += weight * (seconds - self._seconds)

    def seconds_for(self, size: int) -> float:
        return self._seconds * size / self._size / THREADS if self._size else 0.0


class _InlineBudget:
    """CPU seconds for all inline work in one iteration of the event loop. Use from one event loop only."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.left = seconds
        """Negative if the last piece of work took more than was left."""
        self._reset_scheduled = False

    def spend(self, seconds: float) -> None:
        self.left -= seconds
        if not self._reset_scheduled:
            self._reset_scheduled = True
            asyncio.get_running_loop().call_soon(self._reset)

    def _reset(self) -> None:
        self.left, self._reset_scheduled = self._seconds, False


class CpuPool:
    """Runs work inline if its input is small, else in one of THREADS threads. Use from one event loop only."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="prepare")
        self._fair_queue = FairQueue()
        self._numbers = count()
        self._waiting: list[tuple[int, int, _Job]] = []  # a heap: by tag, then by arrival
        self._running = 0
        self._throughput = _Throughput()
        self._inline_budget = _InlineBudget(INLINE_SECONDS)

    async def run(self, size: int, work: Callable[[], T], context: RequestContext, *, seconds_each: float = 0.0) -> T:
        """Run the work and return its result.

        Args:
            size: of its input, in bytes or characters.
            work: takes no longer than its size allows, so no clock is read around it.
            context: of the request.
            seconds_each: its estimated CPU time per byte or character, charged to the inline budget.

        Raises:
            Overloaded: the queue, or the caller's part of it, is full; or the work would start too late.
            DeadlinePassed: the deadline passed in the queue.
        """
        if not self._fits_inline(size):
            return await self._in_thread(size, work, context)
        if seconds_each:
            self._inline_budget.spend(size * seconds_each)
        return work()

    async def run_within(self, seconds: float, size: int, work: Callable[[Budget], T], context: RequestContext) -> T:
        """Like `run`, for work with a budget of CPU seconds, taken from the allowance of its request.

        Raises:
            TooComplex: the budget is used up.
            Overloaded, DeadlinePassed: as `run`.
        """
        if self._fits_inline(size) and not context.allowance.costly:
            started = time.thread_time()
            try:
                return context.allowance.run(self._inline_budget.left, work)
            except TooComplex:
                context.allowance.mark_costly()
                # Start again in a thread, where no other request waits for it, unless the allowance is used up.
                if not context.allowance.has(INLINE_SECONDS):
                    raise
            finally:
                self._inline_budget.spend(time.thread_time() - started)
        return await self._in_thread(size, lambda: context.allowance.run(seconds, work), context)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _fits_inline(self, size: int) -> bool:
        return size <= INLINE_BYTES and self._inline_budget.left >= LEAST_INLINE_SECONDS

    async def _in_thread(self, size: int, work: Callable[[], T], context: RequestContext) -> T:
        wait = self._throughput.seconds_for(self._fair_queue.cost_ahead(context.caller, size))
        max_wait = MAX_WAIT_SHARE * (context.deadline - asyncio.get_running_loop().time())
        if self._fair_queue.is_full(context.caller, MAX_PENDING_BYTES) or 0 < max_wait < wait:
            raise Overloaded(within_bounds(max(wait / 2, _RETRY_SECONDS)))
        job = _Job(size, work, context, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, (self._fair_queue.add(context.caller, size), next(self._numbers), job))
        self._start_jobs()
        try:
            result: T = await job.done
            return result
        finally:
            # An exception refers to this frame, and the frame to the job with the exception: this cycle would keep a
            # refused body of megabytes in memory until the next garbage collection, which an idle service never runs.
            del job

    def _start_jobs(self) -> None:
        while self._waiting and self._running < THREADS:
            tag, _, job = heapq.heappop(self._waiting)
            self._fair_queue.serve(tag)
            self._fair_queue.remove(job.context.caller, job.size)
            if job.done.done():
                continue  # cancelled by its caller
            if job.context.deadline <= asyncio.get_running_loop().time():
                job.done.set_exception(DeadlinePassed())
                continue
            self._running += 1
            future = asyncio.get_running_loop().run_in_executor(self._executor, _measure, job.work, job.seconds)
            future.add_done_callback(partial(self._finish, job))

    def _finish(self, job: _Job, future: "asyncio.Future[Any]") -> None:
        self._running -= 1
        for seconds in job.seconds:
            self._throughput.record_job(job.size, seconds)
        self._start_jobs()
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if job.done.done():
            return
        if error is None:
            job.done.set_result(future.result())
        else:
            job.done.set_exception(error)


def _measure(work: Callable[[], T], seconds: list[float]) -> T:
    started = time.perf_counter()
    try:
        return work()
    finally:
        seconds.append(time.perf_counter() - started)
