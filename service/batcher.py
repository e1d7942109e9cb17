"""Collects encodings and runs them together: no timer, a batch is whatever waits when a runner frees up.

`router.py` submits, `packing.py` chooses, a runner's thread computes. All bookkeeping happens on the event loop, so
there are no locks. Every submitted entry is settled exactly once: with its logits, or with the error that says why not.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from models.encoding import Encoding, padded_length
from models.scoring import Logits
from service.errors import DeadlinePassed, InferenceFailed, Overloaded, ServiceError, ShuttingDown
from service.packing import Packing, Waiting

Infer = Callable[[Sequence[Encoding]], Logits]
"""Encodings in, logits out, shape [rows, labels]. Called in a runner's thread."""

RETRY_BOUNDS = (1.0, 60.0)
"""Retry-After, in seconds: below one nothing has drained, beyond a minute the estimate is worth nothing."""
RATE_SMOOTHING = 0.2
"""Weight of the newest batch in the running estimate of tokens per second."""


@dataclass(eq=False, slots=True)
class Entry:
    """One waiting encoding and the reply channel of whoever waits for it."""

    encoding: Encoding
    length: int
    reply: "asyncio.Future[Logits]"
    submitted: float
    timer: asyncio.TimerHandle | None = None


@dataclass(frozen=True, slots=True)
class BatchReport:
    """One finished run: for metrics and the log."""

    rows: int
    own_tokens: int
    padded_tokens: int
    waits: tuple[float, ...]
    seconds: float
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may run together, wait, and run side by side."""

    packing: Packing
    queue_tokens: int
    runners: int
    max_tokens: int


@dataclass(slots=True)
class _Run:
    entries: list[Entry]
    started: float
    waits: tuple[float, ...] = field(default=())


class Batcher:
    """Queue, scheduler and settling of one model. Use from one event loop only."""

    def __init__(self, infer: Infer, limits: Limits, on_batch: Callable[[BatchReport], None]) -> None:
        self._infer = infer
        self._limits = limits
        self._on_batch = on_batch
        self._waiting: Waiting[Entry] = Waiting(limits.packing)
        self._executor = ThreadPoolExecutor(limits.runners, thread_name_prefix="runner")
        self._running: set[asyncio.Future[Logits]] = set()
        self._scheduled = False
        self._closed = False
        self._tokens_per_second = 0.0

    @property
    def depth(self) -> int:
        return len(self._waiting)

    @property
    def tokens(self) -> int:
        return self._waiting.tokens

    def check(self) -> None:
        """Whether an entry would be accepted now: callers ask before they spend work on preparing one.

        Raises:
            ShuttingDown: the batcher was closed.
            Overloaded: as many tokens wait as may. The limit is checked before an entry is added and not after, so
                that the longest ticket has the same chance as the shortest.
        """
        if self._closed:
            raise ShuttingDown
        if self._waiting.tokens >= self._limits.queue_tokens:
            raise Overloaded(self._retry_after())

    async def submit(self, encoding: Encoding, deadline: float) -> Logits:
        """Wait for this encoding's logits, shape [labels]. `deadline` is in the loop's time.

        A cancelled caller's entry leaves the queue; its neighbours in a batch don't notice.

        Raises:
            Overloaded, DeadlinePassed, ShuttingDown: not run.
            InferenceFailed: run, and the model raised.
        """
        self.check()
        entry = self._enqueue(encoding, deadline)
        try:
            return await entry.reply
        finally:
            self._waiting.discard(entry)
            if entry.timer is not None:
                entry.timer.cancel()

    def refuse(self) -> None:
        """From now on refuse everything that does not run yet, waiting or new."""
        self._closed = True
        for entry in self._waiting.take_all():
            _fail(entry, ShuttingDown())

    async def close(self) -> None:
        """Refuse what waits, let what runs finish, and give the threads back."""
        self.refuse()
        if self._running:
            await asyncio.wait(self._running)
        self._executor.shutdown(wait=False)

    def _enqueue(self, encoding: Encoding, deadline: float) -> Entry:
        loop = asyncio.get_running_loop()
        if deadline <= loop.time():
            raise DeadlinePassed
        length = padded_length(len(encoding.ids), self._limits.max_tokens)
        entry = Entry(encoding, length, loop.create_future(), time.perf_counter())
        entry.timer = loop.call_at(deadline, self._expire, entry)
        self._waiting.add(entry)
        self._schedule()
        return entry

    def _expire(self, entry: Entry) -> None:
        # Only what still waits: a run under way is answered late rather than thrown away.
        if self._waiting.discard(entry):
            _fail(entry, DeadlinePassed())

    def _schedule(self) -> None:
        """Dispatch at the end of this turn of the loop, so that what arrives in one turn is packed together."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        while len(self._waiting) and (free := self._limits.runners - len(self._running)) > 0:
            self._start(self._live(self._waiting.take(free)))

    def _live(self, batch: list[Entry]) -> list[Entry]:
        """Without those whose deadline passed while the loop was busy elsewhere, so that its timer came too late."""
        now = asyncio.get_running_loop().time()
        expired = [entry for entry in batch if entry.timer is not None and entry.timer.when() <= now]
        for entry in expired:
            _fail(entry, DeadlinePassed())
        return [entry for entry in batch if not entry.reply.done()]

    def _start(self, entries: list[Entry]) -> None:
        if not entries:
            return
        now = time.perf_counter()
        run = _Run(entries, now, tuple(now - entry.submitted for entry in entries))
        encodings = [entry.encoding for entry in entries]
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._infer, encodings)
        self._running.add(future)
        future.add_done_callback(lambda done: self._finish(run, done))

    def _finish(self, run: _Run, future: "asyncio.Future[Logits]") -> None:
        self._running.discard(future)
        error = _error_of(future, len(run.entries))
        report = _report(run, error)
        if error is None:
            self._learn_rate(report)
            _deliver(run.entries, future.result())
        else:
            for entry in run.entries:
                _fail(entry, InferenceFailed())
        self._dispatch()
        self._on_batch(report)

    def _learn_rate(self, report: BatchReport) -> None:
        rate = report.padded_tokens / max(report.seconds, 1e-6) * self._limits.runners
        known = self._tokens_per_second or rate
        self._tokens_per_second = known + RATE_SMOOTHING * (rate - known)

    def _retry_after(self) -> float:
        low, high = RETRY_BOUNDS
        if not self._tokens_per_second:
            return low
        return float(min(high, max(low, math.ceil(self._waiting.tokens / self._tokens_per_second))))


def _deliver(entries: Sequence[Entry], logits: Logits) -> None:
    for entry, row in zip(entries, logits, strict=True):
        if not entry.reply.done():
            entry.reply.set_result(row)


def _fail(entry: Entry, error: ServiceError) -> None:
    # One error object per caller: a shared one would gather all their tracebacks.
    if not entry.reply.done():
        entry.reply.set_exception(error)


def _error_of(future: "asyncio.Future[Logits]", rows: int) -> BaseException | None:
    if future.cancelled():
        return asyncio.CancelledError()
    error = future.exception()
    if error is None and len(future.result()) != rows:
        return ValueError(f"the runner gave {len(future.result())} rows for {rows}")
    return error


def _report(run: _Run, error: BaseException | None) -> BatchReport:
    lengths = [entry.length for entry in run.entries]
    return BatchReport(
        rows=len(lengths),
        own_tokens=sum(len(entry.encoding.ids) for entry in run.entries),
        padded_tokens=len(lengths) * max(lengths),
        waits=run.waits,
        seconds=time.perf_counter() - run.started,
        error=error,
    )
