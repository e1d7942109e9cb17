"""Old rows and forgotten tickets leave both databases, and the spool."""

import asyncio
import time
from pathlib import Path

import pytest

from models.label_source import LabelSource
from models.ticket import Ticket
from service.records import feedback, retention
from service.records.feedback import Feedback
from service.records.identity import identity_of
from service.records.maintenance import DAY_MS, Maintenance
from service.records.rows import new_decision
from service.records.store import insert_spooled
from service.settings import Settings
from tests.support.records import draft, recording, until


def test_running_service_deletes_what_is_too_old_in_portions(
    tmp_path: Path, records: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)

    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            now_ms = int(time.time() * 1000)
            for number, days in enumerate((20, 15, 12, 11, 10.1, 9, 0)):
                recorder.now_ms = now_ms - int(days * DAY_MS)
                stored = await recorder.once(Ticket(id=f"T-{number}", body="x"))
                item = Feedback(stored.id, None, {"department": "billing"}, LabelSource.AGENT, 1)
                await recorder.records.write(lambda connection, item=item: feedback.store(connection, [item]))
            maintenance = Maintenance(recorder.records, Settings(records_days=10))
            maintenance.start()
            await until(lambda: maintenance.estimate is not None)
            async with asyncio.timeout(20):
                while await recorder.count() > 2:  # noqa: ASYNC110 - the deletion has no event
                    await asyncio.sleep(0.05)
            await maintenance.stop()
            assert await recorder.count("feedback") == 2

    asyncio.run(scenario())


def test_forgotten_ticket_leaves_nothing_and_is_not_drained_from_a_spool(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await recorder.once(Ticket(id="T-1", body="one"))
            await recorder.once(Ticket(id="T-1", body="two"))
            await recorder.once(Ticket(id="T-2", body="x"))
            items = [Feedback(None, name, {"department": "billing"}, LabelSource.CLOSE, 1) for name in ("T-1", "T-2")]
            await recorder.records.write(lambda connection: feedback.store(connection, items))
            waiting = [
                new_decision(draft(ticket), identity_of(ticket, "other", None, 0))
                for ticket in (Ticket(id="T-1", body="spooled"), Ticket(id="T-3", body="spooled"), Ticket(body="none"))
            ]
            now_ms = int(time.time() * 1000) + 1
            forget = retention.forget
            assert await recorder.records.write(lambda connection: forget(connection, "T-1", now_ms)) == 2
            assert await recorder.records.write(lambda connection: forget(connection, "T-1", now_ms)) == 0
            assert (await recorder.count(), await recorder.count("feedback")) == (1, 1)
            await recorder.records.write(lambda connection: insert_spooled(connection, waiting))
            assert await recorder.count() == 3, "that of T-1 was dropped"
            old, new = (new_decision(draft(Ticket()), identity_of(Ticket(), "other", None, 0)) for _ in range(2))
            del old.row["role"]  # as the previous version spooled it
            await recorder.records.write(lambda connection: insert_spooled(connection, [new, old]))
            assert await recorder.count() == 5

    asyncio.run(scenario())
