"""The tables of bundles beside the serving one: what is in force, and a shadow's verdicts with their decisions."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import insert as insert_row

from models.ticket import Ticket
from service.challengers.table import Entry, Role, ShadowVerdict, enter, in_force, insert_verdicts, withdraw
from service.records import retention, upkeep
from service.records.database.connections import FILE, SqliteFile
from service.records.database.schema import challengers, first_id
from tests.support.records import Recorder, recording


def verdicts(*ids: str) -> list[ShadowVerdict]:
    return [ShadowVerdict(each, "b" * 16, "int8", '{"department":{}}') for each in ids]


async def entries(recorder: Recorder) -> dict[Role, Entry]:
    return await recorder.records.read(in_force)


async def insert(recorder: Recorder, found: Sequence[ShadowVerdict]) -> int:
    return await recorder.records.write(partial(insert_verdicts, verdicts=found))


def test_newest_entry_of_a_role_is_in_force_and_a_bundle_has_one_role(tmp_path: Path, records: str) -> None:
    async def main() -> None:
        async with recording(tmp_path, records) as recorder:

            async def put(role: Role, bundle: str | None, share: float) -> None:
                await recorder.records.write(
                    partial(enter, role=role, bundle=bundle, share=share, who="ann", why="a test")
                )

            await put("shadow", "a", 1.0)
            await put("canary", "b", 0.1)
            found = await entries(recorder)
            assert [(each.role, each.bundle, each.share) for each in found.values()] == [
                ("shadow", "a", 1.0),
                ("canary", "b", 0.1),
            ]
            await put("canary", "a", 0.2)  # the shadow becomes the canary
            found = await entries(recorder)
            assert [(each.role, each.bundle, each.share) for each in found.values()] == [("canary", "a", 0.2)]
            old = found["canary"]
            await put("canary", "a", 0.3)
            await recorder.records.write(partial(withdraw, entry=old, who="watch", why="it serves now"))
            assert (await entries(recorder))["canary"].share == 0.3  # a newer entry stays
            await put("canary", None, 0.0)
            assert await entries(recorder) == {}
            assert await recorder.count("challengers") == 6

    asyncio.run(main())


def test_withdrawal_counts_where_another_machines_clock_was_ahead(tmp_path: Path, records: str) -> None:
    async def main() -> None:
        async with recording(tmp_path, records) as recorder:
            later = {"id": "7" + "0" * 25, "role": "canary", "bundle": "a", "share": 1.0, "who": "ann", "why": "a test"}
            await recorder.records.write(lambda connection: connection.execute(insert_row(challengers), [later]))
            await recorder.records.write(partial(enter, role="canary", bundle=None, share=0.0, who="ann", why="a test"))
            assert await entries(recorder) == {}

    asyncio.run(main())


def test_verdict_is_stored_once_and_only_beside_its_decision(tmp_path: Path, records: str) -> None:
    async def main() -> None:
        async with recording(tmp_path, records) as recorder:
            stored = await recorder.once(Ticket(id="T-1"))
            assert await insert(recorder, verdicts(stored.id, first_id(5))) == 1
            assert await insert(recorder, verdicts(stored.id)) == 0
            assert await recorder.count("shadow_verdicts") == 1

    asyncio.run(main())


def test_verdict_goes_with_a_forgotten_ticket_and_with_an_old_decision(tmp_path: Path, records: str) -> None:
    async def main() -> None:
        async with recording(tmp_path, records) as recorder:
            forgotten, old, kept = [await recorder.once(Ticket(id=f"T-{number}")) for number in range(3)]
            await insert(recorder, verdicts(forgotten.id, old.id, kept.id))
            await recorder.records.write(partial(retention.forget, ticket_id="T-0", now_ms=1))
            assert await recorder.count("shadow_verdicts") == 2
            assert await recorder.records.write(partial(retention.prune_decisions, before=kept.id)) == 1
            assert await recorder.count("shadow_verdicts") == 1
            assert await insert(recorder, verdicts(forgotten.id)) == 0

    asyncio.run(main())


def test_backup_holds_both_tables(tmp_path: Path) -> None:
    async def main() -> None:
        async with recording(tmp_path) as recorder:
            stored = await recorder.once(Ticket(id="T-1"))
            await insert(recorder, verdicts(stored.id))
            put = partial(enter, role="shadow", bundle="a", share=1.0, who="ann", why="a test")
            await recorder.records.write(put)

    asyncio.run(main())
    source, target = SqliteFile(tmp_path / FILE), SqliteFile(tmp_path / "restored" / FILE)
    counts = upkeep.backup(source, tmp_path / "saved.gz")
    assert (counts["challengers"], counts["shadow_verdicts"]) == (1, 1)
    assert upkeep.restore(target, tmp_path / "saved.gz") == counts
    source.close()
    target.close()
