"""The data of the batcher: an entry with its waiting callers, a run of several entries, the report of a finished run.

Used by `batcher.py`. Replies are settled on the event loop only; the thread of a runner only reads whether they are.
"""

import asyncio
import time
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from models.encoding import Encoding
from models.scoring import Verdict
from service.errors import ServiceError
from service.inference.cache import InferenceResult
from service.metrics.batch_report import BatchReport
from service.tracing.recording import Recording


@dataclass(eq=False, slots=True)
class Waiter:
    """The reply for one caller, its deadline in the loop's time, and the timer of the deadline.

    For less than half a millisecond uvloop creates no timer but a plain handle, which has no `when`.
    """

    reply: "asyncio.Future[InferenceResult]"
    deadline: float
    timer: asyncio.Handle

    def is_waiting(self, now: float) -> bool:
        """Whether the caller still waits for the result; `now` in the loop's time."""
        return not self.reply.done() and self.deadline > now


@dataclass(eq=False, slots=True)
class Entry:
    """One encoding to run, and its waiting callers: callers with the same text share an entry."""

    encoding: Encoding
    key: bytes | None
    length: int
    submitted: float
    caller: str | None = None
    """Name of the first caller, for fair queueing, even if other callers share the entry."""
    waiters: list[Waiter] = field(default_factory=list)
    context: Context = field(default_factory=copy_context)
    """Of the first caller: log lines about the run carry the request id of that caller."""
    report: "BatchReport | None" = None
    """Report of the entry's run."""

    def is_awaited(self, now: float) -> bool:
        return any(waiter.is_waiting(now) for waiter in self.waiters)

    def fail(self, kind: type[ServiceError]) -> None:
        # One error object per caller: a shared one would collect the tracebacks of all callers.
        for waiter in self.waiters:
            fail(waiter.reply, kind)

    def deliver(self, verdict: Verdict) -> InferenceResult:
        """Send the verdict to all callers that still wait."""
        result = InferenceResult(verdict, len(self.encoding.ids), self.encoding.truncated)
        for waiter in self.waiters:
            if not waiter.reply.done():
                waiter.reply.set_result(result)
        return result


@dataclass(eq=False, slots=True)
class Run:
    """Entries given to a runner together. Entries without a waiting caller at the start are skipped."""

    entries: list[Entry]
    lone: bool
    skipped: list[Entry] = field(default_factory=list)
    started: float = 0.0

    def start(self, now: float) -> Sequence[Encoding]:
        """The encodings to run; `now` in the loop's time. Called once, in the thread of the runner."""
        awaited = [entry for entry in self.entries if entry.is_awaited(now)]
        if len(awaited) < len(self.entries):
            self.skipped = [entry for entry in self.entries if entry not in awaited]
            self.entries = awaited
        self.started = time.perf_counter()
        return [entry.encoding for entry in self.entries]

    def report(self, error: BaseException | None) -> BatchReport:
        lengths = [entry.length for entry in self.entries]
        return BatchReport(
            rows=len(lengths),
            own_tokens=sum(len(entry.encoding.ids) for entry in self.entries),
            padded_tokens=len(lengths) * max(lengths),
            waits=tuple(self.started - entry.submitted for entry in self.entries),
            started=self.started,
            seconds=time.perf_counter() - self.started,
            error=error,
        )


def record_wait(recording: Recording, joined: float, report: BatchReport | None) -> None:
    """Record the stages of a caller's wait, from `joined` until now: the queue, and the run if there was one.

    A caller that joined an entry late waited only for a part of these stages. Times are from `time.perf_counter`.
    """
    now = time.perf_counter()
    run_started = now if report is None else report.started
    if joined < run_started:
        recording.add_stage("queue", joined, run_started)
    if report is not None:
        size = {"ticket_router.batch.rows": report.rows, "ticket_router.batch.tokens": report.padded_tokens}
        recording.add_stage("infer", max(joined, run_started), run_started + report.seconds, size)


def fail(reply: "asyncio.Future[InferenceResult]", kind: type[ServiceError]) -> None:
    if not reply.done():
        reply.set_exception(kind())
