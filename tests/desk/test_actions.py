"""From a person's decision to feedback and the helpdesk, with both databases."""

import asyncio
from pathlib import Path
from typing import Any

from service.desk.review import actions
from service.desk.review.actions import Decided
from service.records import retention
from tests.desk.test_queue import left, scenario
from tests.support.records import Recorder, recording

LATER = 2**48
SALES = {"department": "sales", "priority": "low"}


async def decide(recorder: Recorder, decision: str, who: str = "ana", **values: str) -> Any:
    return await recorder.records.write(lambda connection: actions.decide(connection, decision, values or SALES, who))


async def send(recorder: Recorder, until_ms: int = LATER) -> actions.Sent:
    return await recorder.records.write(lambda connection: actions.send(connection, {}, until_ms))


async def state(recorder: Recorder, decision: str) -> Decided | None:
    return await recorder.records.read(lambda connection: actions.decided(connection, decision))


def test_decision_becomes_feedback_once_its_time_to_undo_is_over(tmp_path: Path, records: str) -> None:
    async def steps(recorder: Recorder) -> None:
        decision = await left(recorder, "T-1")
        await decide(recorder, decision)
        assert (await send(recorder, until_ms=0)).values == 0
        assert await recorder.count("feedback") == 0
        assert (await send(recorder)).values == 2
        assert (await send(recorder)).values == 0
        found = await state(recorder, decision)
        assert found is not None
        assert (found.who, found.department, found.state) == ("ana", "sales", "sent")

    scenario(tmp_path, records, steps)


def test_undone_decision_leaves_nothing_and_a_sent_one_cannot_be_undone(tmp_path: Path, records: str) -> None:
    async def steps(recorder: Recorder) -> None:
        decision = await left(recorder, "T-1")
        first = await decide(recorder, decision)
        assert await recorder.records.write(lambda connection: actions.undo(connection, first))
        assert (await send(recorder)).values == 0
        assert await state(recorder, decision) is None
        second = await decide(recorder, decision, department="billing")
        await send(recorder)
        assert not await recorder.records.write(lambda connection: actions.undo(connection, second))

    scenario(tmp_path, records, steps)


def test_last_undo_is_the_persons_own_newest_pending_decision(tmp_path: Path, records: str) -> None:
    async def steps(recorder: Recorder) -> None:
        first, second, other = [await left(recorder, f"T-{number}") for number in range(3)]
        await decide(recorder, first)
        await decide(recorder, second)
        await decide(recorder, other, "ben")
        last = [await recorder.records.write(lambda connection: actions.undo_last(connection, "ana")) for _ in range(3)]
        assert last == [second, first, None]
        assert await state(recorder, other) is not None

    scenario(tmp_path, records, steps)


def test_second_person_sees_the_decision_of_the_first(tmp_path: Path, records: str) -> None:
    async def run() -> None:
        other_folder = tmp_path / "other"
        async with recording(tmp_path, records) as one:
            decision = await left(one, "T-1")
            if records == "sqlite":
                answers = [await decide(one, decision, who) for who in ("ana", "bo")]
            else:  # two services
                async with recording(other_folder, records) as other:
                    answers = await asyncio.gather(*(decide(each, decision, "ana") for each in (one, other) * 8))
            made = [each for each in answers if isinstance(each, str)]
            assert len(made) == 1
            assert all(each.who == "ana" and each.department == "sales" for each in answers if each not in made)

    asyncio.run(run())


def test_pending_decision_is_sent_by_the_next_process(tmp_path: Path, records: str) -> None:
    async def run() -> None:
        async with recording(tmp_path, records) as recorder:
            decision = await left(recorder, "T-1")
            await decide(recorder, decision)
        async with recording(tmp_path, records) as recorder:
            assert (await send(recorder)).values == 2

    asyncio.run(run())


def test_ticket_that_was_deleted_or_has_a_newer_message_takes_no_decision(tmp_path: Path, records: str) -> None:
    async def steps(recorder: Recorder) -> None:
        deleted, older, pending = [await left(recorder, each) for each in ("T-1", "T-2", "T-3")]
        await left(recorder, "T-2")
        await decide(recorder, pending)
        for ticket in ("T-1", "T-3"):
            await recorder.records.write(lambda connection, ticket=ticket: retention.forget(connection, ticket, 1))
        assert await decide(recorder, deleted) is None
        assert await decide(recorder, older) is None
        assert (await send(recorder)).values == 0
        assert await recorder.count("reviews") == 0

    scenario(tmp_path, records, steps)
