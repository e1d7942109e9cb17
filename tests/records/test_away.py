"""PostgreSQL stops, hangs and comes back: nothing acknowledged is lost, and no restart is needed."""

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from models.ticket import Ticket
from service.errors import RecordsUnavailable
from service.records.spool import SPOOL
from service.records.store import Stored
from tests.support.postgres import Postgres
from tests.support.records import Recorder, recording, until


@contextlib.contextmanager
def gone(server: Postgres, how: str) -> Iterator[None]:
    """The server hangs or is killed; it is back afterwards."""
    if how == "hanging":
        server.signal(signal.SIGSTOP)
    else:
        server.kill()
    try:
        yield
    finally:
        if how == "hanging":
            server.signal(signal.SIGCONT)
        else:
            server.start()


def tickets(count: int, name: str = "T") -> list[Ticket]:
    return [Ticket(id=f"{name}-{number}", body="x") for number in range(count)]


def ids_as_inserted(connection: Connection) -> list[str]:
    return [str(row[0]) for row in connection.exec_driver_sql("SELECT id FROM decisions ORDER BY ctid")]


async def first_success(recorder: Recorder) -> float:
    """Seconds until a decision is recorded again."""
    started = time.monotonic()
    while True:
        try:
            await recorder.once(Ticket(id="T-back", body="x"))
            return time.monotonic() - started
        except RecordsUnavailable:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["hanging", "killed"])
def test_refused_while_away_and_recorded_again_afterwards(
    tmp_path: Path, postgres: Postgres, postgres_url: str, how: str
) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, postgres_url) as recorder:
            await recorder.once(Ticket(id="T-1", body="x"))
            with gone(postgres, how):
                with pytest.raises(RecordsUnavailable):
                    await recorder.once(Ticket(id="T-2", body="x"))
                await until(lambda: recorder.changes[-1] is not None)
                with pytest.raises(RecordsUnavailable):
                    recorder.records.check()
            assert await first_success(recorder) < 2
            await until(lambda: recorder.changes[-1] is None)
            recorder.records.check()

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["hanging", "killed"])
def test_degraded_decisions_are_drained_in_order(
    tmp_path: Path, postgres: Postgres, postgres_url: str, how: str
) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, postgres_url, records_when_away="degrade") as recorder:
            with gone(postgres, how):
                stored = [await recorder.once(ticket) for ticket in tickets(20)]
                again = [await recorder.once(ticket) for ticket in tickets(20)]
                assert [each.id for each in again] == [each.id for each in stored]
                assert recorder.changes[-1] is None, "it goes on, so it is ready"
            await until(lambda: recorder.records.metrics.spool == (0, 0))
            assert await recorder.records.read(ids_as_inserted) == [each.id for each in stored]
            assert (await recorder.once(tickets(1)[0])).id == stored[0].id
        assert (tmp_path / SPOOL).stat().st_size == 0

    asyncio.run(scenario())


def test_spool_of_an_ended_service_is_drained_by_the_next_one(
    tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, postgres_url, records_when_away="degrade") as recorder:
            with gone(postgres, "killed"):
                stored = [await recorder.once(ticket) for ticket in tickets(5)]
                await recorder.records.stop()
        with (tmp_path / SPOOL).open("ab") as file:
            file.write(b"0badc0de [{}")  # the end of an interrupted write
        async with recording(tmp_path, postgres_url, records_when_away="refuse") as recorder:
            await until(lambda: recorder.records.metrics.spool == (0, 0))
            assert await recorder.count() == 5
            assert [(await recorder.once(each)).id for each in tickets(5)] == [each.id for each in stored]

    asyncio.run(scenario())


def test_acknowledged_decision_with_the_key_of_another_service_is_kept(
    tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    async def scenario() -> None:
        ticket = Ticket(id="T-1", body="x")
        async with recording(tmp_path / "a", postgres_url) as other:
            first = await other.once(ticket)
        async with recording(tmp_path / "b", postgres_url, records_when_away="degrade") as recorder:
            with gone(postgres, "killed"):
                second = await recorder.once(ticket)
            await until(lambda: recorder.records.metrics.spool == (0, 0))
            assert await recorder.count() == 2
            assert first.id != second.id
            assert (await recorder.once(ticket)).id == first.id

    asyncio.run(scenario())


def test_full_spool_refuses(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    async def scenario() -> None:
        options = {"records_when_away": "degrade", "records_spool_bytes": 5000}
        async with recording(tmp_path, postgres_url, **options) as recorder:
            with gone(postgres, "killed"):
                results = [await asyncio.gather(recorder.once(each), return_exceptions=True) for each in tickets(50)]
            stored = [each for (each,) in results if isinstance(each, Stored)]
            assert all(isinstance(each, Stored | RecordsUnavailable) for (each,) in results)
            await until(lambda: recorder.records.metrics.spool == (0, 0))
            assert await recorder.count() == len(stored)
            assert 0 < len(stored) < 50

    asyncio.run(scenario())


def test_start_waits_for_a_server_that_is_not_there_yet(tmp_path: Path, postgres: Postgres, postgres_url: str) -> None:
    async def scenario() -> None:
        postgres.kill()
        async with recording(tmp_path, postgres_url) as recorder:
            assert recorder.changes[-1] is not None
            postgres.start()
            assert await first_success(recorder) < 5

    asyncio.run(scenario())


def test_cancelled_read_is_cancelled_although_its_query_has_just_ended(tmp_path: Path) -> None:
    async def run() -> None:
        started, go = threading.Event(), threading.Event()

        def query(_connection: Connection) -> bool:
            started.set()
            return go.wait(10)

        async with recording(tmp_path) as recorder:
            task = asyncio.create_task(recorder.records.read(query))
            await asyncio.to_thread(started.wait, 10)
            go.set()
            time.sleep(0.2)  # noqa: ASYNC251 - the query ends while the loop does not notice
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run())
