"""What people said of a ticket or its thread stands, in both databases."""

import asyncio
import json
from pathlib import Path
from typing import Any

from models.label_source import LabelSource
from models.ticket import Ticket
from service.records import feedback, live, retention
from service.records.feedback import Feedback
from service.records.store import Stored
from tests.support.records import Recorder, recording

T_1 = Ticket(id="T-1", body="Where is my parcel?")
THREAD = "0" * 64


async def said(
    recorder: Recorder, value: str, *, ticket_id: str = "T-1", source: LabelSource = LabelSource.AGENT, at: int = 1
) -> None:
    item = Feedback(None, ticket_id, {"department": value}, source, at)
    (received,) = await recorder.records.write(lambda connection: feedback.store(connection, [item]))
    assert received is not None


def department(stored: Stored) -> str:
    found: str = json.loads(stored.response)["department"]
    return found


async def on_record(recorder: Recorder, decision_id: str) -> Any:
    def query(connection: Any) -> Any:
        return connection.exec_driver_sql(
            f"SELECT outcome, reason, department, confidence, fields FROM decisions WHERE id = '{decision_id}'"
        ).one()

    return await recorder.records.read(query)


def test_corrected_ticket_is_given_the_correction_once_and_after_a_restart(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            first = await recorder.once(T_1)
            await said(recorder, "sales")
            corrected, again = await recorder.once(T_1), await recorder.once(T_1)
            changed = await recorder.once(Ticket(id="T-1", body="Another text"))
            assert [department(each) for each in (first, corrected, again, changed)] == ["billing", *["sales"] * 3]
            assert (again.id, again.repeated, again.response) == (corrected.id, True, corrected.response)
            row = await on_record(recorder, corrected.id)
            assert (row.outcome, row.reason, row.department, row.confidence) == ("route", "corrected", "sales", 1.0)
            fields = json.loads(row.fields)
            assert fields["department"]["corrected"] is True
            assert (fields["priority"]["value"], fields["priority"]["outcome"]) == ("high", "suggest")
            assert corrected.decision is not None
            assert corrected.decision.verdict.department.corrected == "sales"
        async with recording(tmp_path, records) as recorder:
            assert await recorder.once(T_1) == corrected._replace(repeated=True, decision=None)

    asyncio.run(scenario())


def test_value_at_close_replaces_a_correction_and_a_later_one_of_an_agent_does_not(
    tmp_path: Path, records: str
) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await recorder.once(T_1)
            found = []
            for value, source, at in (
                ("sales", LabelSource.AGENT, 2),
                ("returns", LabelSource.AGENT, 1),
                ("technical", LabelSource.CLOSE, 1),
                ("returns", LabelSource.AGENT, 9),
            ):
                await said(recorder, value, source=source, at=at)
                found.append(department(await recorder.once(T_1)))
            assert found == ["sales", "sales", "technical", "technical"]

    asyncio.run(scenario())


def test_correction_holds_for_the_thread_but_not_against_a_tickets_own(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await recorder.once(Ticket(id="T-1", body="a", thread=THREAD))
            await said(recorder, "sales")
            reply = await recorder.once(Ticket(id="T-2", body="b", thread=THREAD))
            without_id = await recorder.once(Ticket(body="c", thread=THREAD))
            stranger = await recorder.once(Ticket(id="T-3", body="d", thread="1" * 64))
            assert [department(each) for each in (reply, without_id, stranger)] == ["sales", "sales", "billing"]
            await said(recorder, "returns", ticket_id="T-2", source=LabelSource.CLOSE)
            assert department(await recorder.once(Ticket(id="T-2", body="e", thread=THREAD))) == "returns"
            assert department(await recorder.once(Ticket(id="T-1", body="f", thread=THREAD))) == "sales"

    asyncio.run(scenario())


def test_text_without_an_id_is_no_repetition_of_what_was_answered_before_its_thread_was_corrected(
    tmp_path: Path, records: str
) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            mail = Ticket(body="Where is my parcel?", thread=THREAD)
            first = await recorder.once(mail)
            item = Feedback(first.id, None, {"department": "sales"}, LabelSource.AGENT, 1)
            await recorder.records.write(lambda connection: feedback.store(connection, [item]))
            corrected, again = await recorder.once(mail), await recorder.once(mail)
            assert (department(corrected), again.id) == ("sales", corrected.id)

    asyncio.run(scenario())


def test_callers_own_key_keeps_its_first_answer_and_a_new_key_gets_the_correction(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            first = await recorder.once(T_1, key="one")
            await said(recorder, "sales")
            assert (await recorder.once(T_1, key="one")).response == first.response
            assert department(await recorder.once(T_1, key="two")) == "sales"

    asyncio.run(scenario())


def test_field_that_the_bundle_lacks_stands_too(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await recorder.once(T_1)
            item = Feedback(None, "T-1", {"mood": "calm", "priority": "low"}, LabelSource.AGENT, 1)
            await recorder.records.write(lambda connection: feedback.store(connection, [item]))
            stored = await recorder.once(T_1)
            assert stored.decision is not None
            verdict = stored.decision.verdict
            assert {name: field.predicted for name, field in verdict.fields.items()} == {
                "priority": "low",
                "mood": "calm",
            }
            assert (verdict.department.predicted, verdict.department.corrected) == ("billing", None)

    asyncio.run(scenario())


def test_corrected_decisions_count_in_no_measure_of_the_model(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await recorder.once(T_1)
            await said(recorder, "sales")
            for number in range(3):
                await recorder.once(Ticket(id="T-1", body=str(number)))
                await said(recorder, "sales", source=LabelSource.CLOSE)
            total, routed = await recorder.records.read(lambda connection: live.counts(connection, 0))
            sums = live.Sums()
            await recorder.records.read(lambda connection: live.add_portion(connection, "", sums))
            assert (total, routed) == (1, {"billing": 1})
            assert sums.rows == {"feedback": 1, "audit": 0}
            assert dict(sums.overridden) == {"billing": 1}

    asyncio.run(scenario())


def test_forgotten_ticket_takes_its_correction_along(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await recorder.once(Ticket(id="T-1", body="a", thread=THREAD))
            await said(recorder, "sales")
            await recorder.records.write(lambda connection: retention.forget(connection, "T-1", 1))
            assert department(await recorder.once(Ticket(id="T-1", body="a", thread=THREAD))) == "billing"
            assert department(await recorder.once(Ticket(id="T-2", body="a", thread=THREAD))) == "billing"

    asyncio.run(scenario())


def test_correction_at_one_service_holds_at_the_other_at_once(tmp_path: Path, postgres_url: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path / "a", postgres_url) as one, recording(tmp_path / "b", postgres_url) as other:
            tickets = [Ticket(id=f"T-{number}", body="x") for number in range(50)]
            await asyncio.gather(*(one.once(ticket) for ticket in tickets))
            for ticket in tickets:
                assert ticket.id is not None
                await said(one, "sales", ticket_id=ticket.id)
                assert department(await other.once(ticket)) == "sales"

    asyncio.run(scenario())
