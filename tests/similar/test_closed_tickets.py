"""Closed tickets on both databases: added, renewed, forgotten, and deleted with what they came from."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models.index_file import ClosedTicket, pack_vector, unit
from models.label_source import LabelSource
from models.ticket import Ticket
from service.records import feedback, retention
from service.records.database.schema import first_id
from service.records.feedback import Feedback
from service.records.maintenance import DAY_MS
from service.records.store import KeptText
from service.similar import closed
from tests.support.records import Recorder, draft, recording

BUNDLE, OTHER = "0123456789abcdef", "fedcba9876543210"
WIDTH = 3
VECTOR = unit(np.array([1.0, 2.0, 2.0], dtype=np.float32))


def ticket(name: str | None, *, text: str = "Where is my parcel?", days: float = 1.0, **more: Any) -> ClosedTicket:
    at = int(time.time() * 1000 - days * DAY_MS)
    values = {"department": "returns", "answer": "", "vector": pack_vector(VECTOR)} | more
    return ClosedTicket(id=name, text=text, at=at, **values)


async def add(recorder: Recorder, *tickets: ClosedTicket, connection: str | None = None) -> int:
    return await recorder.records.write(
        partial(closed.add_from_file, tickets=tickets, bundle=BUNDLE, connection_name=connection)
    )


async def shown(recorder: Recorder) -> dict[str | None, Any]:
    """By ticket, what the desk would show."""
    ids, _ = await recorder.records.read(
        partial(closed.vectors_before, bundle=BUNDLE, width=WIDTH, before=None, limit=100)
    )
    rows = await recorder.records.read(partial(closed.closed_of, ids=ids))
    return {row.ticket: row for row in rows.values()}


async def said(recorder: Recorder, decision_id: str, department: str, source: LabelSource = LabelSource.CLOSE) -> None:
    item = Feedback(decision_id, None, {"department": department}, source, int(time.time() * 1000))
    await recorder.records.write(lambda connection: feedback.store(connection, [item]))


async def with_text(recorder: Recorder, name: str, text: str) -> str:
    """A decision whose text is kept."""

    async def decide(asked: Ticket) -> Any:
        return draft(asked, now_ms=recorder.now_ms, text=KeptText("", text, None))

    recorder.decide = decide  # type: ignore[method-assign]
    return (await recorder.once(Ticket(id=name, body=text))).id


async def take_feedback(recorder: Recorder, after: str) -> list[closed.Said]:
    found, _ = await recorder.records.read(partial(closed.new_feedback, after=after, limit=100))
    vectors = np.tile(VECTOR, (len(found), 1))
    await recorder.records.write(partial(closed.add_from_record, said=found, vectors=vectors, bundle=BUNDLE))
    return found


def test_ticket_that_is_added_again_is_renewed(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            first = ticket("T-1", answer="Tomorrow.")
            assert await add(recorder, first, first, ticket(None, text="No id\0.")) == 2
            await add(recorder, first.model_copy(update={"department": "billing", "answer": ""}))
            found = await shown(recorder)
            assert await recorder.count("closed_tickets") == 2
            assert (found["T-1"].department, found["T-1"].answer) == ("billing", None)
            assert found[None].shown == "No id\ufffd."

    asyncio.run(scenario())


def test_forgotten_ticket_leaves_and_is_not_added_again(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            mine = [ticket("1"), ticket("2", text="Another.")]
            assert await add(recorder, *mine, connection="zendesk") == 2
            now_ms = int(time.time() * 1000)
            await recorder.records.write(lambda connection: retention.forget(connection, "zendesk:1", now_ms))
            assert set(await shown(recorder)) == {"zendesk:2"}
            assert await add(recorder, *mine, connection="zendesk") == 1
            assert set(await shown(recorder)) == {"zendesk:2"}

    asyncio.run(scenario())


def test_old_tickets_are_deleted_by_the_age_of_their_arrival(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await add(recorder, ticket("young", days=9), ticket("old", text="Old.", days=11))
            prune = retention.portions(None, None, int(time.time() * 1000), 10)["closed_tickets"]
            while await recorder.records.write(prune):
                pass
            assert set(await shown(recorder)) == {"young"}

    asyncio.run(scenario())


def test_decision_with_text_and_feedback_joins_and_follows_the_newest_truth(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            with_both = await with_text(recorder, "T-1", "Where is my parcel?")
            await with_text(recorder, "T-2", "Nobody said anything about this.")
            await said(recorder, with_both, "sales", LabelSource.AGENT)
            start = first_id(0)
            assert [each.department for each in await take_feedback(recorder, start)] == ["sales"]
            found = await shown(recorder)
            assert (set(found), found["T-1"].shown) == ({"T-1"}, "Where is my parcel?")
            assert await take_feedback(recorder, start) == [], "it is there with that department"
            await said(recorder, with_both, "returns", LabelSource.CLOSE)
            await take_feedback(recorder, start)
            assert (await shown(recorder))["T-1"].department == "returns"

    asyncio.run(scenario())


def test_closed_ticket_of_the_record_leaves_with_its_text(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            now_ms = int(time.time() * 1000)
            for name, days in (("old", 20), ("young", 1)):
                recorder.now_ms = now_ms - days * DAY_MS
                await said(recorder, await with_text(recorder, name, f"The {name} one."), "billing")
            assert len(await take_feedback(recorder, first_id(0))) == 2
            await add(recorder, ticket("of a file", days=300))
            for prune in retention.portions(None, 10, now_ms, 365).values():
                while await recorder.records.write(prune):
                    pass
            assert set(await shown(recorder)) == {"young", "of a file"}
            for prune in retention.portions(0, None, now_ms + 2 * DAY_MS).values():
                while await recorder.records.write(prune):
                    pass
            assert set(await shown(recorder)) == {"of a file"}

    asyncio.run(scenario())


def test_text_that_was_deleted_meanwhile_does_not_come_back(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            decision_id = await with_text(recorder, "T-1", "Where is my parcel?")
            await said(recorder, decision_id, "returns")
            found, _ = await recorder.records.read(partial(closed.new_feedback, after=first_id(0), limit=10))
            await recorder.records.write(lambda connection: retention.forget(connection, "T-1", 1))
            add_late = partial(closed.add_from_record, said=found, vectors=VECTOR[None], bundle=BUNDLE)
            assert await recorder.records.write(add_late) == 0
            assert await recorder.count("closed_tickets") == 0

    asyncio.run(scenario())


def test_vectors_of_another_bundle_are_found_newest_first_and_replaced(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await add(recorder, ticket("1", text="one", days=1), ticket("2", text="two", days=2))
            others = await recorder.records.read(partial(closed.of_other_bundles, bundle=OTHER, limit=1))
            assert [text for _, text in others] == ["one"]
            ids = [each for each, _ in others]
            vectors = unit(np.array([[0.0, 0.0, 5.0]], dtype=np.float32))
            await recorder.records.write(partial(closed.set_vectors, ids=ids, vectors=vectors, bundle=OTHER))
            assert (await recorder.records.read(partial(closed.counts, bundle=OTHER)))[:2] == (1, 1)
            names, stored = await recorder.records.read(
                partial(closed.vectors_before, bundle=OTHER, width=WIDTH, before=None, limit=10)
            )
            assert (names, stored.tolist()) == (ids, [[0, 0, 1]])

    asyncio.run(scenario())


def test_vector_of_another_width_is_like_nothing(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await add(recorder, ticket("1"))
            read = partial(closed.vectors_before, bundle=BUNDLE, width=5, before=None, limit=10)
            assert (await recorder.records.read(read))[1].tolist() == [[0] * 5]

    asyncio.run(scenario())


def test_only_tickets_of_files_are_removed_by_the_command(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await said(recorder, await with_text(recorder, "T-1", "Mine."), "billing")
            await take_feedback(recorder, first_id(0))
            await add(recorder, ticket("1"), ticket("2", text="two"))
            assert await recorder.records.write(partial(closed.remove_from_files, limit=100)) == 2
            assert set(await shown(recorder)) == {"T-1"}

    asyncio.run(scenario())
