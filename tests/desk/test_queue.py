"""What is open, in which order, and what the filters find, with both databases."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.label_source import LabelSource
from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from models.ticket import Ticket
from service.desk.review import actions, queue
from service.desk.review.queue import Filter
from service.records import feedback
from service.records.feedback import Feedback
from service.records.rows import Draft
from service.records.store import KeptText
from tests.support.records import Recorder, draft, recording

DAY_MS = 86_400_000


async def left(
    recorder: Recorder,
    ticket: str | None,
    label: str = "billing",
    confidence: float = 0.5,
    reason: Reason = Reason.BELOW_THRESHOLD,
    **more: Any,
) -> str:
    """A decision that is left to people. `text`, `now_ms`: of it."""
    text, now_ms = more.get("text", "a text"), more.get("now_ms")

    async def decide(asked: Ticket) -> Draft:
        made = draft(asked, Outcome.REVIEW, now_ms=now_ms, text=KeptText("", text))
        field = FieldVerdict(Outcome.REVIEW, reason, (Candidate(label, confidence),))
        verdict = Verdict(field, {"priority": FieldVerdict(Outcome.SUGGEST, reason, (Candidate("high", 0.6),))})
        return replace(made, decision=replace(made.decision, verdict=verdict))

    recorder.decide = decide  # type: ignore[method-assign]
    stored = await recorder.once(Ticket(id=ticket, body=f"{label} {time.perf_counter_ns()}"))
    return stored.id


def scenario(tmp_path: Path, records: str, steps: Callable[[Recorder], Awaitable[None]]) -> None:
    async def run() -> None:
        async with recording(tmp_path, records) as recorder:
            await steps(recorder)

    asyncio.run(run())


async def ids(recorder: Recorder, wanted: Filter | None = None, **options: Any) -> list[str]:
    now_ms = int(time.time() * 1000)
    rows = await recorder.records.read(lambda connection: queue.page(connection, wanted or Filter(), now_ms, **options))
    return [row.id for row in rows]


async def said(recorder: Recorder, decision: str, field: str = "department") -> None:
    item = Feedback(decision, None, {field: "sales"}, LabelSource.AGENT, 1)
    await recorder.records.write(lambda connection: feedback.store(connection, [item]))


def test_only_the_newest_undecided_decision_of_a_ticket_is_open(tmp_path: Path, records: str) -> None:
    async def steps(recorder: Recorder) -> None:
        await left(recorder, "T-1")
        newer, told, pending, undone, without_id = [
            await left(recorder, each) for each in ("T-1", "T-2", "T-3", "T-4", None)
        ]
        await said(recorder, told)
        await said(recorder, newer, "priority")
        for each in (pending, undone):
            made = await recorder.records.write(
                lambda connection, each=each: actions.decide(connection, each, {"department": "sales"}, "ana")
            )
        await recorder.records.write(lambda connection: actions.undo(connection, made))
        assert await ids(recorder) == [without_id, undone, newer]
        counts = await recorder.records.read(queue.counts)
        assert (counts.total, counts.reasons, counts.departments) == (3, {"below_threshold": 3}, {"billing": 3})

    scenario(tmp_path, records, steps)


def test_settled_rows_are_those_that_were_not_open(tmp_path: Path, records: str) -> None:
    async def steps(recorder: Recorder) -> None:
        older, newer, told, still = [await left(recorder, each) for each in ("T-1", "T-1", "T-2", "T-3")]
        await said(recorder, told)
        closed = await recorder.records.read(queue.closed)
        assert sorted(closed) == sorted([older, told])
        before = await ids(recorder)
        await recorder.records.write(lambda connection: queue.mark_settled(connection, closed))
        assert await recorder.records.read(queue.closed) == []
        assert await ids(recorder) == before == [still, newer]

    scenario(tmp_path, records, steps)


@pytest.mark.parametrize("order", ["newest", "surest"])
def test_pages_and_neighbours_go_through_every_row_once_in_order(tmp_path: Path, records: str, order: Any) -> None:
    async def steps(recorder: Recorder) -> None:
        made = [(await left(recorder, f"T-{each}", confidence=(each % 4) / 10), (each % 4) / 10) for each in range(23)]
        place = (lambda each: each[0]) if order == "newest" else (lambda each: (each[1], each[0]))
        expected = [each[0] for each in sorted(made, key=place, reverse=True)]
        wanted, found, after = Filter(order), list[str](), None
        while page := await ids(recorder, wanted, after=after, limit=5):
            found += page
            after = page[-1]
        assert found == expected
        for place_of, each in enumerate(expected):
            before, following = await recorder.records.read(
                lambda connection, each=each: queue.neighbours(connection, wanted, 0, each)
            )
            assert before == (expected[place_of - 1] if place_of else None)
            assert following == (expected[place_of + 1] if place_of + 1 < len(expected) else None)

    scenario(tmp_path, records, steps)


def test_filters_find_what_they_say(tmp_path: Path, records: str) -> None:
    async def steps(recorder: Recorder) -> None:
        now_ms = int(time.time() * 1000)
        old = await left(recorder, "T-old", now_ms=now_ms - 9 * DAY_MS)
        sales = await left(recorder, "T-sales", "sales", text="100% of the Parcel_s")
        spam = await left(recorder, "T-spam", reason=Reason.SPAM)
        for wanted, expected in (
            (Filter(department="sales"), [sales]),
            (Filter(reason="spam"), [spam]),
            (Filter(field="priority=high"), [spam, sales, old]),
            (Filter(field="priority=hi"), []),
            (Filter(field="priority"), []),
            (Filter(age="older"), [old]),
            (Filter(age="day"), [spam, sales]),
            (Filter(text="PARCEL_S"), [sales]),
            (Filter(text="100%"), [sales]),
            (Filter(text="parcelxs"), []),
            (Filter(text="T-spam"), [spam]),
            (Filter(text="'; DROP TABLE decisions; --"), []),
        ):
            assert await ids(recorder, wanted) == expected, wanted

    scenario(tmp_path, records, steps)


def test_filter_of_an_address_survives_the_address() -> None:
    wanted = queue.filter_of({"order": "surest", "department": " a&b=c ", "age": "week", "text": "ü\0 %", "x": "y"})
    assert wanted == Filter("surest", "a&b=c", "", "", "week", "ü %")
    assert queue.filter_of({"order": "other", "age": "never"}) == Filter()
    assert Filter().query == ""
    assert wanted.query == "order=surest&department=a%26b%3Dc&age=week&text=%C3%BC+%25"
