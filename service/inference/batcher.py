"""Dynamic batching without a timer: when a runner becomes free, the waiting entries form the next batch.

`routing/router.py` submits, `packing.py` selects, the thread of a runner computes. All bookkeeping happens on the event
loop, so there are no locks. Every submitted entry is settled exactly once, with its verdict or with an error.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from models.encoding import Encoding, padded_length
from models.scoring import Verdict
from service.context import RequestContext
from service.errors import DeadlinePassed, InferenceFailed, Overloaded, ShuttingDown, within_bounds
from service.inference.cache import InferenceResult
from service.inference.entries import Entry, Run, Waiter, fail, record_wait
from service.inference.packing import Packing, WaitingEntries
from service.inference.throughput import Throughput
from service.metrics.batch_report import BatchReport
from service.tracing.recording import current_recording

Infer = Callable[[Sequence[Encoding], bool], Sequence[Verdict]]
"""Runs the model: a verdict for each encoding. The flag marks a lone run, which may use all cores because nothing else
runs. Called in the thread of a runner."""

T = TypeVar("T")

BACKGROUND_JOBS = 256
"""Most of them wait; each is about one batch."""


@dataclass(frozen=True, slots=True)
class BatcherLimits:
    """Limits for the batch, the queue and the parallel runs.

    `queue_seconds`: longest expected wait of an entry in the queue. `lone_tokens`: an entry of at least this padded
    length runs as a lone one when nothing else waits or runs.
    """

    packing: Packing
    queue_tokens: int
    queue_seconds: float
    runners: int
    max_tokens: int
    lone_tokens: int | None = None


class Batcher:
    """Queue and scheduler of one model. Use from one event loop only."""

    def __init__(
        self,
        infer: Infer,
        limits: BatcherLimits,
        on_batch: Callable[[BatchReport], None],
        store_result: Callable[[bytes, InferenceResult], None] = lambda _key, _result: None,
    ) -> None:
        self._infer = infer
        self._limits = limits
        self._on_batch = on_batch
        self._store_result = store_result
        self._waiting: WaitingEntries[Entry] = WaitingEntries(limits.packing)
        self._by_key: dict[bytes, Entry] = {}
        self._executor = ThreadPoolExecutor(limits.runners, thread_name_prefix="runner")
        self._running: set[asyncio.Future[Any]] = set()
        self._background: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()
        self._scheduled = False
        self._closed = False
        self._throughput = Throughput()

    @property
    def running(self) -> int:
        """Runs at work, and the one that is prepared for the next free runner."""
        return len(self._running)

    @property
    def depth(self) -> int:
        return len(self._waiting)

    @property
    def tokens(self) -> int:
        return self._waiting.tokens

    @property
    def capacity(self) -> int:
        """Most tokens that may wait now for a single caller: the tokens run within `queue_seconds`, up to
        `queue_tokens`.

        At least the length of the longest ticket, even after a slow run: an empty queue accepts that ticket, and
        autoscaling divides by this number.
        """
        throughput = self._throughput.tokens_per_second
        limits = self._limits
        if not throughput:
            return limits.queue_tokens
        return min(limits.queue_tokens, max(int(throughput * limits.queue_seconds), limits.max_tokens))

    def check(self, context: RequestContext, length: int = 0) -> None:
        """Check that an entry of this padded length would be accepted now. Callers check before they create an entry,
        when its length is still unknown.

        Raises:
            ShuttingDown: the batcher was closed.
            DeadlinePassed: the deadline has passed.
            Overloaded: the queue, or the caller's part of it, is full; or the entry would run too late.
        """
        if self._closed:
            raise ShuttingDown
        left = context.deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise DeadlinePassed
        if not len(self._waiting):
            return  # even if the estimated throughput is too low: only a run can correct the estimate
        full = self._waiting.is_full(context.caller, self._limits.queue_tokens)
        if full or self._is_too_late(context.caller, length, left):
            # Retry when half of the tokens ahead of this caller are done.
            tokens_ahead = self._waiting.tokens_ahead(context.caller)
            raise Overloaded(within_bounds(self._throughput.seconds_for(tokens_ahead / 2)))

    def has_entry(self, key: bytes) -> bool:
        """Whether an entry with this key waits or runs, so that `join` works."""
        return key in self._by_key

    async def join(self, key: bytes, context: RequestContext) -> InferenceResult:
        """Wait, as `submit` does, for the entry that another caller submitted with this key, even if the queue is
        full."""
        return await self._wait(self._by_key[key], context.deadline)

    async def submit(self, encoding: Encoding, context: RequestContext, key: bytes | None = None) -> InferenceResult:
        """Queue this encoding and wait for its result.

        Callers with the same `key` share one run. A cancelled or late caller stops waiting; the entry leaves the queue
        with its last caller, without effect on the other entries of a batch.

        Raises:
            Overloaded, DeadlinePassed, ShuttingDown: the entry was not run.
            InferenceFailed: the model raised.
        """
        entry = self._by_key.get(key) if key is not None else None
        return await self._wait(entry or self._enqueue(encoding, context, key), context.deadline)

    async def run_in_background(self, work: Callable[[], T], deadline: float) -> T:
        """Run other work of the model, of about one batch, on a runner that no caller wants.

        It starts only while no entry waits and, where there are several runners, another one stays free: a new entry
        starts at once.

        Raises:
            Overloaded: a batch of entries waits already, or too much such work does.
            DeadlinePassed, ShuttingDown: it was not run, or not to its end.
            InferenceFailed: the work raised.
        """
        if self._closed:
            raise ShuttingDown
        if self._waiting.tokens >= self._limits.packing.max_tokens or len(self._background) >= BACKGROUND_JOBS:
            raise Overloaded(within_bounds(self._throughput.seconds_for(self._waiting.tokens)))
        reply: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        job = reply, work
        self._background.append(job)
        self._schedule()
        try:
            async with asyncio.timeout_at(deadline):
                return await reply
        except TimeoutError:
            raise DeadlinePassed from None
        finally:
            with contextlib.suppress(ValueError):
                self._background.remove(job)

    def refuse(self) -> None:
        """Refuse all waiting entries, and new ones from now on."""
        self._closed = True
        for entry in self._waiting.take_all():
            self._release_key(entry)
            entry.fail(ShuttingDown)
        for reply, _ in self._background:
            fail(reply, ShuttingDown)
        self._background.clear()

    async def close(self) -> None:
        """Refuse waiting entries, let runs finish, and end the threads."""
        self.refuse()
        if self._running:
            await asyncio.wait(self._running)
        self._executor.shutdown(wait=False)

    def _enqueue(self, encoding: Encoding, context: RequestContext, key: bytes | None) -> Entry:
        length = padded_length(len(encoding.ids), self._limits.max_tokens, self._limits.packing.multiple)
        self.check(context, length)
        entry = Entry(encoding, key, length, time.perf_counter(), context.caller)
        if key is not None:
            self._by_key[key] = entry
        self._waiting.add(entry, entry.caller)
        self._schedule()
        return entry

    def _schedule(self) -> None:
        """Dispatch at the end of this loop iteration, so that entries of one iteration are packed together."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    async def _wait(self, entry: Entry, deadline: float) -> InferenceResult:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[InferenceResult] = loop.create_future()
        waiter = Waiter(reply, deadline, loop.call_at(deadline, self._expire, entry, reply))
        entry.waiters.append(waiter)
        recording, started = current_recording(), time.perf_counter()
        try:
            return await reply
        finally:
            waiter.timer.cancel()
            entry.waiters.remove(waiter)
            if not entry.waiters and self._waiting.discard(entry):
                self._release_key(entry)
            if recording is not None:
                record_wait(recording, started, entry.report)

    def _expire(self, entry: Entry, reply: "asyncio.Future[InferenceResult]") -> None:
        # Only while the entry waits: a running entry is answered late rather than discarded.
        if entry in self._waiting:
            fail(reply, DeadlinePassed)

    def _release_key(self, entry: Entry) -> None:
        """No caller joins this entry from now on."""
        if entry.key is not None and self._by_key.get(entry.key) is entry:
            del self._by_key[entry.key]

    def _dispatch(self) -> None:
        self._scheduled = False
        loop, limits = asyncio.get_running_loop(), self._limits
        while len(self._waiting):
            free_runners = limits.runners - len(self._running)
            if free_runners == 0 and self._waiting.tokens >= limits.packing.max_tokens:
                # Prepare one full batch ahead: later entries could not improve it, and the next free runner takes it
                # without waiting for the loop.
                free_runners = 1
            if free_runners <= 0:
                return
            entries = self._waiting.take(free_runners)
            alone = len(entries) == 1 and not self._running and not len(self._waiting)
            lone = alone and limits.lone_tokens is not None and entries[0].length >= limits.lone_tokens
            run = Run(entries, lone)
            future = loop.run_in_executor(self._executor, self._compute, run)
            self._running.add(future)
            future.add_done_callback(partial(self._finish, run))
        while self._background and len(self._running) < max(1, limits.runners - 1):
            reply, work = self._background.popleft()
            if not reply.done():
                done = loop.run_in_executor(self._executor, work)
                self._running.add(done)
                done.add_done_callback(partial(self._finish_background, reply))

    def _compute(self, run: Run) -> Sequence[Verdict]:
        # `loop.time()` is cached per iteration and the loop may have been busy: read the same clock directly.
        encodings = run.start(time.monotonic())
        return self._infer(encodings, run.lone) if encodings else ()

    def _finish(self, run: Run, future: "asyncio.Future[Sequence[Verdict]]") -> None:
        self._running.discard(future)
        for entry in run.skipped:
            if entry.is_awaited(time.monotonic()) and not self._closed:
                self._waiting.add(entry, entry.caller)  # a caller joined after the runner had skipped the entry
            else:
                self._release_key(entry)
                entry.fail(ShuttingDown if self._closed else DeadlinePassed)
        report = self._settle(run, future) if run.entries else None
        self._dispatch()
        if report is not None:
            run.entries[0].context.run(self._on_batch, report)

    def _finish_background(self, reply: "asyncio.Future[Any]", future: "asyncio.Future[Any]") -> None:
        self._running.discard(future)
        if future.cancelled() or future.exception() is not None:
            fail(reply, InferenceFailed)
        elif not reply.done():
            reply.set_result(future.result())
        self._dispatch()

    def _settle(self, run: Run, future: "asyncio.Future[Sequence[Verdict]]") -> BatchReport:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if error is None and len(future.result()) != len(run.entries):
            error = ValueError(f"the runner returned {len(future.result())} rows for {len(run.entries)}")
        report = run.report(error)
        for entry in run.entries:
            self._release_key(entry)
            entry.report = report
        if error is None:
            # A lone run uses all cores, other runs a part of them.
            self._throughput.record_run(report.padded_tokens, report.seconds, 1 if run.lone else self._limits.runners)
            for entry, verdict in zip(run.entries, future.result(), strict=True):
                result = entry.deliver(verdict)
                if entry.key is not None:  # in the same step as the key's release: no caller may miss both
                    self._store_result(entry.key, result)
        else:
            for entry in run.entries:
                entry.fail(InferenceFailed)
        return report

    def _is_too_late(self, caller: str | None, length: int, left: float) -> bool:
        """Whether an entry would wait too long, or end after its deadline, which is `left` seconds away."""
        start = self._throughput.seconds_for(self._waiting.tokens_ahead(caller, length))
        end = start + self._throughput.seconds_for(length * self._limits.runners)
        return start > self._limits.queue_seconds or (start > 0 and end > left)
