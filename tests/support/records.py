"""Opens records and makes decisions for them, without a model."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from ulid import ULID

from models.label_source import LabelSource
from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from models.ticket import Ticket
from service.decision import Decision, ModelIdentity
from service.records import feedback
from service.records.feedback import Feedback
from service.records.identity import Identity, identity_of
from service.records.records import Records
from service.records.rows import Draft
from service.records.store import Stored
from service.settings import Settings

CALLER = "helpdesk"
WINDOW_MS = 30_000
MODEL = ModelIdentity("0123456789abcdef", "int8", 1)
THRESHOLDS = {"department": 0.9, "priority": None}


class Recorder:
    """`changes`: the causes that were reported, None for being available again."""

    def __init__(self, records: Records, changes: list[str | None]) -> None:
        self.records = records
        self.changes = changes
        self.made = 0
        self.now_ms: int | None = None
        """The time of decisions; None: now."""

    async def decide(self, ticket: Ticket) -> Draft:
        self.made += 1
        return draft(ticket, now_ms=self.now_ms)

    async def once(
        self, ticket: Ticket, *, key: str | None = None, caller: str = CALLER, window_ms: int = WINDOW_MS
    ) -> Stored:
        identity: Identity = identity_of(ticket, caller, key, window_ms)
        deadline = asyncio.get_running_loop().time() + 20
        return await self.records.once(identity, deadline, lambda: self.decide(ticket))

    async def count(self, table: str = "decisions") -> int:
        def query(connection: Any) -> int:
            return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar())

        return await self.records.read(query)


@contextlib.asynccontextmanager
async def recording(state_dir: Path, records: str = "sqlite", **settings: Any) -> AsyncIterator[Recorder]:
    changes: list[str | None] = []
    options = Settings(records=records, state_dir=state_dir, **settings)
    opened = Records(options, CollectorRegistry(), changes.append)
    try:
        await opened.start()
        yield Recorder(opened, changes)
    finally:
        await opened.stop()


def draft(ticket: Ticket, outcome: Outcome = Outcome.ROUTE, *, now_ms: int | None = None, **more: Any) -> Draft:
    candidates = (Candidate("billing", 0.97), Candidate("sales", 0.02))
    department = FieldVerdict(outcome, Reason.CONFIDENT, candidates)
    priority = FieldVerdict(Outcome.SUGGEST, Reason.BELOW_THRESHOLD, (Candidate("high", 0.6),))
    verdict = Verdict(department, {"priority": priority})
    made = ULID() if now_ms is None else ULID.from_timestamp(now_ms)
    decision = Decision(
        str(made), ticket.id, verdict, ("truncated",), MODEL, "0" * 64, THRESHOLDS, thread=ticket.thread
    )
    return Draft(
        decision,
        lambda each: f'{{"decision_id":"{each.id}","department":"{each.verdict.department.predicted}"}}',
        1.5,
        **more,
    )


async def decided(recorder: Recorder, label: str, confidence: float, truth: str | None, *, held_out: bool) -> None:
    """A routed decision, or one of the random share that would have been, and what a person said."""

    async def decide(ticket: Ticket) -> Draft:
        made = draft(ticket)
        field = FieldVerdict(Outcome.ROUTE, Reason.CONFIDENT, (Candidate(label, confidence),))
        verdict, judged = Verdict(field, {}), None
        if held_out:
            judged, verdict = verdict, Verdict(FieldVerdict(Outcome.REVIEW, Reason.AUDIT, ()), {})
        return replace(made, decision=replace(made.decision, verdict=verdict, judged=judged))

    recorder.decide = decide  # type: ignore[method-assign]
    stored = await recorder.once(Ticket(id=f"T-{recorder.made}-{time.perf_counter_ns()}", body="x"))
    if truth is not None:
        item = Feedback(stored.id, None, {"department": truth}, LabelSource.CLOSE, 1)
        await recorder.records.write(lambda connection: feedback.store(connection, [item]))


async def until(condition: Any, seconds: float = 20) -> None:
    """Wait for it in the running loop."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.02)
