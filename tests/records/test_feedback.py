"""Feedback is stored once, with both databases."""

import asyncio
from pathlib import Path

from models.label_source import LabelSource
from models.ticket import Ticket
from service.records import feedback
from service.records.feedback import Feedback
from tests.support.records import Recorder, recording


def item(decision_id: str, value: str, at: int = 1) -> Feedback:
    return Feedback(decision_id, None, {"department": value}, LabelSource.AGENT, at)


async def stored(recorder: Recorder, *items: Feedback) -> list[int | None]:
    results = await recorder.records.write(lambda connection: feedback.store(connection, items))
    return [None if each is None else each.new for each in results]


def test_repetition_in_one_batch_and_in_the_next_adds_no_row(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            decision = await recorder.once(Ticket(id="T-1", body="x"))
            first, second = item(decision.id, "billing"), item(decision.id, "sales", 2)
            assert await stored(recorder, first, first, second, item("unknown", "sales")) == [1, 0, 1, None]
            assert await stored(recorder, first, second, item(decision.id, "sales", 3)) == [0, 0, 0]
            assert await recorder.count("feedback") == 2

    asyncio.run(scenario())


def test_same_feedback_at_two_services_is_stored_once(tmp_path: Path, postgres_url: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path / "a", postgres_url) as one, recording(tmp_path / "b", postgres_url) as other:
            decisions = [await one.once(Ticket(id=f"T-{number}", body="x")) for number in range(20)]
            items = [item(each.id, "billing") for each in decisions]
            await asyncio.gather(*(stored(each, *items) for each in (one, other, one, other)))
            assert await one.count("feedback") == 20

    asyncio.run(scenario())
