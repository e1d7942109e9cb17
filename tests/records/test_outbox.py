"""The outbox and what helpdesks were told, in both databases."""

import asyncio
import time
from pathlib import Path
from typing import Any

from models.ticket import Ticket
from service.decision import Decision
from service.errors import RecordsUnavailable
from service.helpdesks import outbox
from service.helpdesks.types import Written
from service.records import retention, upkeep
from service.records.database.connections import open_database
from service.records.identity import Identity
from service.records.rows import new_decision
from service.records.store import Further, insert_all
from tests.support.records import draft, recording

TABLES = ("deliveries", "outbox", "writes", "marks")


def rows(decision: Decision) -> tuple[Further, ...]:
    ticket = str(decision.ticket_id)
    return (
        outbox.delivery_row("desk", decision.id, ticket, "processed", "route", 1),
        outbox.outbox_row("desk", outbox.TICKET, ticket, decision.id, "{}", 1),
        outbox.outbox_row("desk", outbox.EVENT, ticket, decision.id, "{}", 1),
    )


def decided(ticket: str, now_ms: int | None = None) -> Any:
    made = draft(Ticket(id=ticket, body="x"), now_ms=now_ms, further=rows)
    return new_decision(made, Identity("connection:desk", f"ticket:{ticket}", "0" * 64))


def test_repeated_decision_brings_no_further_rows(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            for _ in range(2):
                await recorder.records.write(
                    lambda database: insert_all(database, [decided("desk:1"), decided("desk:2")])
                )
            assert [await recorder.count(table) for table in ("decisions", "deliveries", "outbox")] == [2, 2, 4]

    asyncio.run(scenario())


def test_rows_of_a_ticket_are_claimed_in_order_and_again_when_the_claim_ends(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            write = recorder.records.write
            await write(lambda database: insert_all(database, [decided("desk:1"), decided("desk:2")]))
            first = await write(lambda database: outbox.claim(database, "desk", outbox.TICKET, 10, 1))
            second = await write(lambda database: outbox.claim(database, "desk", outbox.TICKET, 10, 9))
            assert [row.ticket for row in (*first, *second)] == ["desk:1", "desk:2"]
            assert await write(lambda database: outbox.claim(database, "desk", outbox.EVENT, 10, 9)) == []
            await write(lambda database: outbox.finish(database, first[0], "written", [Written("team", None, "T")], 10))
            events = await write(lambda database: outbox.claim(database, "desk", outbox.EVENT, 10, 9))
            assert [row.ticket for row in events] == ["desk:1"]
            later = 11 + outbox.LEASE_MS
            again = await write(lambda database: outbox.claim(database, "desk", outbox.TICKET, later, 9))
            assert [row.ticket for row in again] == ["desk:2"]
            assert await write(lambda database: outbox.written_values(database, "desk:1")) == {"team": "T"}
            assert await write(lambda database: outbox.flips(database, "desk:1", 20)) == {"team": 1}
            assert await write(lambda database: outbox.flips(database, "desk:1", 20 + outbox.HOUR_MS)) == {}

    asyncio.run(scenario())


def test_two_processes_claim_different_rows(tmp_path: Path, postgres_url: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, postgres_url) as recorder:
            await recorder.records.write(
                lambda database: insert_all(database, [decided(f"desk:{number}") for number in range(6)])
            )
        with open_database(postgres_url, tmp_path).writer.connect() as one, one.begin():
            mine = {row.id for row in outbox.claim(one, "desk", outbox.TICKET, 10, 3)}
            with open_database(postgres_url, tmp_path).writer.connect() as two, two.begin():
                theirs = {row.id for row in outbox.claim(two, "desk", outbox.TICKET, 10, 6)}
        assert (len(mine), len(theirs), mine & theirs) == (3, 3, set())

    asyncio.run(scenario())


def test_old_and_forgotten_tickets_leave_and_a_backup_has_all_rows(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            write = recorder.records.write
            await write(lambda database: insert_all(database, [decided("desk:1"), decided("desk:2")]))
            claimed = await write(lambda database: outbox.claim(database, "desk", outbox.TICKET, 10, 9))
            for row in claimed:
                await write(
                    lambda database, row=row: outbox.finish(database, row, "written", [Written("t", None, "x")], 9)
                )
            await write(lambda database: outbox.set_mark(database, "desk", 5))
            counts = upkeep.backup(recorder.records.database, tmp_path / "backup.gz")
            assert [counts[table] for table in TABLES] == [2, 4, 2, 1]
            await write(lambda database: retention.forget(database, "desk:1", int(time.time() * 1000)))
            assert [await recorder.count(table) for table in TABLES] == [2, 2, 1, 1]
            assert await write(lambda database: outbox.forgotten_of(database, {"desk:1", "desk:2"})) == {"desk:1"}
            for prune in retention.portions(1, None, int(time.time() * 1000) + 2 * retention.DAY_MS).values():
                await write(prune)
            assert [await recorder.count(table) for table in TABLES] == [0, 0, 0, 1]

    asyncio.run(scenario())


def test_decision_with_further_rows_is_refused_and_not_spooled_while_the_database_is_away(
    tmp_path: Path, postgres: Any, postgres_url: str
) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, postgres_url, records_when_away="degrade") as recorder:
            postgres.kill()
            try:
                identity = Identity("connection:desk", "ticket:desk:1", "0" * 64)
                deadline = asyncio.get_running_loop().time() + 20

                async def decide() -> Any:
                    return draft(Ticket(id="desk:1", body="x"), further=rows)

                refused = False
                try:
                    await recorder.records.once(identity, deadline, decide)
                except RecordsUnavailable:
                    refused = True
                assert refused
                await recorder.once(Ticket(id="T-1", body="spooled"))
            finally:
                postgres.start()

    asyncio.run(scenario())
