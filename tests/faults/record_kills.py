"""SIGKILL at any moment of recording decisions: `python -m tests.faults.record_kills --count 200`.

A process records with 64 callers and reports each acknowledged decision through a pipe. After each kill the next
process sends the tickets without an acknowledgement again, as a helpdesk does, and some that have one. At the end every
acknowledged decision must be on record, and every ticket once. One process forks the others, so that a kill costs
milliseconds.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from random import Random

from models.ticket import Ticket
from service.logs import configure_logging
from service.records.database.connections import open_database
from tests.support.postgres import running_postgres
from tests.support.records import recording

CALLERS = 64
LONGEST_SECONDS = 0.8
AGAIN = 20
"""Acknowledged tickets that each process sends again."""


async def record(folder: Path, records: str, numbers: Iterable[int], pipe: int) -> None:
    """Record these tickets, and report each number with its decision."""
    left = iter(numbers)
    async with recording(folder, records) as recorder:

        async def call() -> None:
            for number in left:
                os.write(pipe, b"%d started\n" % number)
                stored = await recorder.once(Ticket(id=f"T-{number}", body="Where is my parcel?"))
                os.write(pipe, b"%d %b\n" % (number, stored.id.encode()))

        await asyncio.gather(*(call() for _ in range(CALLERS)))


def killed_run(folder: Path, records: str, numbers: Iterable[int], seconds: float) -> list[tuple[int, str]]:
    """What a process reported until its end; `seconds` after its first acknowledgement it is killed."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(receive)
            asyncio.run(record(folder, records, numbers, send))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # never back into what the parent was doing
    os.close(send)
    reported = b""
    deadline = None
    os.set_blocking(receive, False)
    while deadline is None or time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            part = os.read(receive, 1 << 20)
            assert part, "it failed before it was killed"
            reported += part
        if deadline is None and b" 0" in reported:
            deadline = time.monotonic() + seconds
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.set_blocking(receive, True)
    while part := os.read(receive, 1 << 20):
        reported += part
    os.close(receive)
    lines = reported.decode().split("\n")[:-1]
    return [(int(number), what) for number, what in map(str.split, lines)]


def run(folder: Path, records: str, count: int, seed: int) -> int:
    """The number of acknowledged decisions, all of them on record."""
    random = Random(seed)
    acknowledged: dict[int, str] = {}
    started: set[int] = set()
    for _ in range(count):
        again = random.sample(sorted(acknowledged), min(AGAIN, len(acknowledged)))
        numbers = [*sorted(started - acknowledged.keys()), *again]
        new = itertools.count(max(started, default=-1) + 1)
        for number, what in killed_run(
            folder, records, itertools.chain(numbers, new), random.random() * LONGEST_SECONDS
        ):
            started.add(number)
            if what != "started":
                assert acknowledged.setdefault(number, what) == what, f"ticket {number} got two decisions"
    check(folder, records, acknowledged)
    return len(acknowledged)


def check(folder: Path, records: str, acknowledged: dict[int, str]) -> None:
    database = open_database(records, folder)
    with database.reader.connect() as connection:
        rows = connection.exec_driver_sql("SELECT ticket_id, id FROM decisions").all()
        if records == "sqlite":
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    database.close()
    on_record = {row[0]: row[1] for row in rows}
    assert len(on_record) == len(rows), "a ticket is on record twice"
    lost = [number for number, decision in acknowledged.items() if on_record.get(f"T-{number}") != decision]
    assert not lost, f"{len(lost)} acknowledged decisions are not on record"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, metavar="N", help="kills of each database's writer")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    configure_logging("error")
    with tempfile.TemporaryDirectory(prefix="records-") as folder:
        acknowledged = run(Path(folder), "sqlite", arguments.count, arguments.seed)
        print(f"sqlite: {arguments.count} kills, {acknowledged} acknowledged, 0 lost, 0 twice", flush=True)
        with running_postgres() as server:
            url = server.new_database("kills")
            acknowledged = run(Path(folder), url, arguments.count, arguments.seed)
        print(f"postgresql: {arguments.count} kills, {acknowledged} acknowledged, 0 lost, 0 twice", flush=True)


if __name__ == "__main__":
    sys.exit(main())
