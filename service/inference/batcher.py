"""Collects encodings and runs them together: no timer, a batch is whatever waits when a runner frees up.

`router.py` submits, `packing.py` chooses, a runner's thread computes. All bookkeeping happens on the event loop, so
there are no locks. Every submitted entry is settled exactly once: with its logits, or with the error that says why not.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from models.encoding import Encoding, padded_length
from models.scoring import Logits
from service.context import RequestContext
from service.errors import DeadlinePassed, InferenceFailed, Overloaded, ShuttingDown, within_bounds
from service.inference.cache import Answer
from service.inference.entries import Entry, Run, Waiter, fail, record_wait
from service.inference.packing import Packing, Waiting
from service.inference.throughput import Throughput
from service.metrics.batch_report import BatchReport
from service.tracing.recording import current

Infer = Callable[[Sequence[Encoding], bool], Logits]
"""Encodings in, logits out, shape [rows, labels]; and whether they may take the whole machine, since nothing else runs.
Called in a runner's thread."""

_NOTHING: Logits = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may run together, wait, and run side by side.

    `queue_seconds`: the longest that an entry may have to wait for its turn. `lone_tokens`: an entry of at least this
    padded length that finds nothing else to do is run as a lone one.
    """

    packing: Packing
    queue_tokens: int
    queue_seconds: float
    runners: int
    max_tokens: int
    lone_tokens: int | None = None


class Batcher:
    """Queue, scheduler and settling of one model. Use from one event loop only."""

    def __init__(
        self,
        infer: Infer,
        limits: Limits,
        on_batch: Callable[[BatchReport], None],
        remember: Callable[[bytes, Answer], None] = lambda _key, _answer: None,
    ) -> None:
        self._infer = infer
        self._limits = limits
        self._on_batch = on_batch
        self._remember = remember
        self._waiting: Waiting[Entry] = Waiting(limits.packing)
        self._shared: dict[bytes, Entry] = {}
        self._executor = ThreadPoolExecutor(limits.runners, thread_name_prefix="runner")
        self._running: set[asyncio.Future[Logits]] = set()
        self._scheduled = False
        self._closed = False
        self._throughput = Throughput()

    @property
    def depth(self) -> int:
        return len(self._waiting)

    @property
    def tokens(self) -> int:
        return self._waiting.tokens

    @property
    def capacity(self) -> int:
        """Tokens of one caller alone that may wait now: what is run within `queue_seconds`, at most `queue_tokens`.

        At least the longest ticket's, however slow the last run was: an empty queue takes it, and autoscaling divides
        by this.
        """
        pace = self._throughput.tokens_per_second
        limits = self._limits
        paced = max(int(pace * limits.queue_seconds), limits.max_tokens)
        return min(limits.queue_tokens, paced) if pace else limits.queue_tokens

    def check(self, context: RequestContext, length: int = 0) -> None:
        """Whether an entry of this padded length would be accepted now: callers ask before they spend work on making
        one, and do not know its length then.

        Raises:
            ShuttingDown: the batcher was closed.
            DeadlinePassed: it is too late for any answer.
            Overloaded: as many tokens wait as may, or of this caller's; or its turn would come too late.
        """
        if self._closed:
            raise ShuttingDown
        left = context.deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise DeadlinePassed
        if not len(self._waiting):
            return  # whatever was thought of the pace: somebody must find out
        full = self._waiting.full(context.caller, self._limits.queue_tokens)
        if full or self._too_late(context.caller, length, left):
            raise Overloaded(self._retry_after(context))

    def shares(self, key: bytes) -> bool:
        """Whether an entry with this key waits or runs, so that `join` would find it."""
        return key in self._shared

    async def join(self, key: bytes, context: RequestContext) -> Answer:
        """Wait, as `submit` does, for an entry that another caller submitted under this key: a full queue is no
        obstacle."""
        return await self._wait(self._shared[key], context.deadline)

    async def submit(self, encoding: Encoding, context: RequestContext, key: bytes | None = None) -> Answer:
        """Wait for this encoding's answer.

        Callers with the same `key` share one run. One who is cancelled or late leaves; the entry leaves the queue with
        its last caller, and its neighbours in a batch don't notice.

        Raises:
            Overloaded, DeadlinePassed, ShuttingDown: not run.
            InferenceFailed: run, and the model raised.
        """
        entry = self._shared.get(key) if key is not None else None
        return await self._wait(entry or self._enqueue(encoding, context, key), context.deadline)

    def refuse(self) -> None:
        """From now on refuse everything that does not run yet, waiting or new."""
        self._closed = True
        for entry in self._waiting.take_all():
            self._settled(entry)
            entry.fail(ShuttingDown)

    async def close(self) -> None:
        """Refuse what waits, let what runs finish, and give the threads back."""
        self.refuse()
        if self._running:
            await asyncio.wait(self._running)
        self._executor.shutdown(wait=False)

    def _enqueue(self, encoding: Encoding, context: RequestContext, key: bytes | None) -> Entry:
        length = padded_length(len(encoding.ids), self._limits.max_tokens)
        self.check(context, length)
        entry = Entry(encoding, key, length, time.perf_counter(), context.caller)
        if key is not None:
            self._shared[key] = entry
        self._waiting.add(entry, entry.caller)
        self._schedule()
        return entry

    async def _wait(self, entry: Entry, deadline: float) -> Answer:
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Answer] = loop.create_future()
        waiter = Waiter(reply, deadline, loop.call_at(deadline, self._expire, entry, reply))
        entry.waiters.append(waiter)
        recording, since = current(), time.perf_counter()
        try:
            return await reply
        finally:
            waiter.timer.cancel()
            entry.waiters.remove(waiter)
            self._drop_if_left(entry)
            if recording is not None:
                record_wait(recording, since, entry.report)

    def _expire(self, entry: Entry, reply: "asyncio.Future[Answer]") -> None:
        # Only what still waits: a run under way is answered late rather than thrown away.
        if entry in self._waiting:
            fail(reply, DeadlinePassed)

    def _drop_if_left(self, entry: Entry) -> None:
        if not entry.waiters and self._waiting.discard(entry):
            self._settled(entry)

    def _settled(self, entry: Entry) -> None:
        """From now on nobody joins it."""
        if entry.key is not None and self._shared.get(entry.key) is entry:
            del self._shared[entry.key]

    def _schedule(self) -> None:
        """Dispatch at the end of this turn of the loop, so that what arrives in one turn is packed together."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        while len(self._waiting) and (free := self._free()) > 0:
            self._start(self._waiting.take(free))

    def _free(self) -> int:
        """Runners that can be given a batch. When all are busy and a full batch waits, one more is made ready: nothing
        that comes later could improve it, and the runner that takes it need not wait for the loop."""
        free = self._limits.runners - len(self._running)
        full = self._waiting.tokens >= self._limits.packing.max_tokens
        return 1 if free == 0 and full else free

    def _start(self, entries: list[Entry]) -> None:
        run = Run(entries, self._is_lone(entries))
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._compute, run)
        self._running.add(future)
        future.add_done_callback(lambda done: self._finish(run, done))

    def _compute(self, run: Run) -> Logits:
        # The loop's own clock, read past its cache: the loop may have been busy since it last looked.
        encodings = run.begin(time.monotonic())
        return self._infer(encodings, run.lone) if encodings else _NOTHING

    def _is_lone(self, entries: list[Entry]) -> bool:
        least = self._limits.lone_tokens
        alone = len(entries) == 1 and not self._running and not len(self._waiting)
        return least is not None and alone and entries[0].length >= least

    def _finish(self, run: Run, future: "asyncio.Future[Logits]") -> None:
        self._running.discard(future)
        for entry in run.left_out:
            self._leave_out(entry)
        report = self._settle(run, future) if run.entries else None
        self._dispatch()
        if report is not None:
            run.entries[0].context.run(self._on_batch, report)

    def _leave_out(self, entry: Entry) -> None:
        if entry.wanted(time.monotonic()) and not self._closed:
            self._waiting.add(entry, entry.caller)  # someone joined it after the runner had found nobody waiting
        else:
            self._settled(entry)
            entry.fail(ShuttingDown if self._closed else DeadlinePassed)

    def _settle(self, run: Run, future: "asyncio.Future[Logits]") -> BatchReport:
        error = _error_of(future, len(run.entries))
        report = run.report(error)
        for entry in run.entries:
            self._settled(entry)
            entry.report = report
        if error is None:
            # A lone run has the whole machine, others their part of it.
            self._throughput.learn(report.padded_tokens, report.seconds, 1 if run.lone else self._limits.runners)
            for entry, row in zip(run.entries, future.result(), strict=True):
                answer = entry.deliver(row)
                if entry.key is not None:  # now, and not when its caller's turn comes: nobody may miss both
                    self._remember(entry.key, answer)
        else:
            for entry in run.entries:
                entry.fail(InferenceFailed)
        return report

    def _too_late(self, caller: str | None, length: int, left: float) -> bool:
        """Whether the turn of an entry would come too late, or its answer, with so many seconds left for it."""
        turn = self._throughput.seconds(self._waiting.ahead(caller, length))
        answer = turn + self._throughput.seconds(length * self._limits.runners)
        return turn > self._limits.queue_seconds or (turn > 0 and answer > left)

    def _retry_after(self, context: RequestContext) -> float:
        """When half of what is ahead of this caller will be done."""
        return within_bounds(self._throughput.seconds(self._waiting.ahead(context.caller) / 2))


def _error_of(future: "asyncio.Future[Logits]", rows: int) -> BaseException | None:
    if future.cancelled():
        return asyncio.CancelledError()
    error = future.exception()
    if error is None and len(future.result()) != rows:
        return ValueError(f"the runner gave {len(future.result())} rows for {rows}")
    return error
