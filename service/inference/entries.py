"""What waits and what runs: an entry with its callers, one run of several entries, and the report of a finished run.

`batcher.py` moves them. Replies are settled on the event loop only; a runner's thread just looks whether they are.
"""

import asyncio
import time
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from models.encoding import Encoding
from models.scoring import Logits
from service.errors import ServiceError
from service.inference.cache import Answer
from service.metrics.batch_report import BatchReport
from service.tracing.recording import Recording


@dataclass(eq=False, slots=True)
class Waiter:
    """One caller's reply channel, its deadline in the loop's time, and the timer for it.

    uvloop has no timers for what is less than half a millisecond away: then it is a plain handle, which has no `when`.
    """

    reply: "asyncio.Future[Answer]"
    deadline: float
    timer: asyncio.Handle

    def waits(self, now: float) -> bool:
        """Whether its answer is still wanted at this moment of the loop's time."""
        return not self.reply.done() and self.deadline > now


@dataclass(eq=False, slots=True)
class Entry:
    """One encoding to run, and all who wait for it: callers with the same text share it."""

    encoding: Encoding
    key: bytes | None
    length: int
    submitted: float
    caller: str | None = None
    """In whose name it waits: its first caller's, though others share it."""
    waiters: list[Waiter] = field(default_factory=list)
    context: Context = field(default_factory=copy_context)
    """Its first caller's: what is said of its run is said under that caller's request id."""
    report: "BatchReport | None" = None
    """Of the run it was in."""

    def wanted(self, now: float) -> bool:
        return any(waiter.waits(now) for waiter in self.waiters)

    def fail(self, kind: type[ServiceError]) -> None:
        # One error object per caller: a shared one would gather all their tracebacks.
        for waiter in self.waiters:
            fail(waiter.reply, kind)

    def deliver(self, logits: Logits) -> Answer:
        """Hand the logits, shape [labels], to everyone who still waits."""
        answer = Answer(logits, len(self.encoding.ids), self.encoding.truncated)
        for waiter in self.waiters:
            if not waiter.reply.done():
                waiter.reply.set_result(answer)
        return answer


@dataclass(eq=False, slots=True)
class Run:
    """Entries handed to a runner together. Those nobody wants any more when its turn comes are left out."""

    entries: list[Entry]
    lone: bool
    left_out: list[Entry] = field(default_factory=list)
    started: float = 0.0

    def begin(self, now: float) -> Sequence[Encoding]:
        """What is to be run now, `now` in the loop's time. Called in the runner's thread, once."""
        wanted = [entry for entry in self.entries if entry.wanted(now)]
        if len(wanted) < len(self.entries):
            self.left_out = [entry for entry in self.entries if entry not in wanted]
            self.entries = wanted
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


def record_wait(recording: Recording, since: float, report: BatchReport | None) -> None:
    """What a caller waited for, from `since` until now: its turn, and the run, if it came to one.

    Who joins an entry late waited for a part of it only. Moments are of `time.perf_counter`.
    """
    now = time.perf_counter()
    started = now if report is None else report.started
    if since < started:
        recording.stage("queue", since, started)
    if report is not None:
        size = {"ticket_router.batch.rows": report.rows, "ticket_router.batch.tokens": report.padded_tokens}
        recording.stage("infer", max(since, started), started + report.seconds, size)


def fail(reply: "asyncio.Future[Answer]", kind: type[ServiceError]) -> None:
    if not reply.done():
        reply.set_exception(kind())
