"""Deliveries of a helpdesk through all that goes wrong: `python -m tests.faults.helpdesk_deliveries --count 10000`.

A fifth are duplicates, none is in order. Meanwhile the helpdesk is away for a while, the service is killed twice and
its database once, and agents move tickets: before the delivery, just before our write, and after it. At the end each
ticket has one decision and was moved at most once by us, no delivery is lost, and what an agent chose stands and is
feedback, once.
"""

import contextlib
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psycopg

from models.scoring import Outcome
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.support.helpdesks.connected import NAME, Sample, connected, rows, samples_of, webhook_url, zendesk_table
from tests.support.helpdesks.zendesk import GROUPS, PERSON, ROUTER, Zendesk, running_zendesk
from tests.support.postgres import Postgres, running_postgres
from tests.support.process import Service

DUPLICATES = 0.2
PERSONS = 0.06
"""Share of the tickets that an agent moves, a third at each of the three moments."""
SENDERS = 8
RETRY_SECONDS = 0.2
GIVE_UP_SECONDS = 180.0
DRAIN_SECONDS = 240.0
"""Longest time without a write: more than a killed process's lease."""


@dataclass
class Run:
    zendesk: Zendesk
    samples: list[Sample]
    random: Random
    bundle: Path
    folder: Path
    records: str
    chosen: dict[int, int] = field(default_factory=dict)
    """Ticket → the group that an agent chose."""
    expected: dict[int, int] = field(default_factory=dict)
    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    """As they were made when the tickets were new."""
    service: Service | None = None
    failed: bool = False
    statuses: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def serving(self) -> Iterator[Service]:
        table = zendesk_table(self.zendesk)
        flags = () if self.records == "sqlite" else ("--records", self.records)
        with connected(self.bundle, self.folder, table, *flags) as self.service:
            try:
                yield self.service
            finally:
                self.service = None

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        if self.records == "sqlite":
            return rows(self.folder, statement)
        with psycopg.connect(self.records) as database:
            return database.execute(statement.encode()).fetchall()

    def new_ticket(self) -> int:
        sample = self.random.choice(self.samples)
        number = self.zendesk.new_ticket(sample.subject, sample.body)
        self.expected[number] = GROUPS[sample.label]
        self.events[number] = self.zendesk.created_event(number)
        return number

    def another_group(self, number: int) -> int:
        return self.random.choice([each for each in GROUPS.values() if each not in (1, self.expected[number])])

    def send(self, client: httpx.Client, number: int, invocation: str) -> None:
        """As a helpdesk does: again until it is acknowledged."""
        limit = time.monotonic() + GIVE_UP_SECONDS
        while True:
            service = self.service
            with contextlib.suppress(httpx.HTTPError):
                if service is not None:
                    event = self.events[number]
                    status = self.zendesk.send(client, webhook_url(service), number, invocation, event).status_code
                    with self.lock:
                        self.statuses[status] += 1
                    if status == 200:
                        return
            assert time.monotonic() < limit, f"ticket {number} was never acknowledged"
            assert not self.failed
            time.sleep(RETRY_SECONDS)


def run(
    bundle: Path, folder: Path, count: int, seed: int = 0, *, records: str = "postgresql", away_seconds: float = 5.0
) -> str:
    """What was done, after all of it held. `records`: with `sqlite` there is no database to kill."""
    random = Random(seed)
    with contextlib.ExitStack() as stack:
        zendesk = stack.enter_context(running_zendesk(updates_a_minute=10**9, calls_a_minute=10**9))
        postgres = stack.enter_context(running_postgres()) if records == "postgresql" else None
        url = "sqlite" if postgres is None else postgres.new_database("deliveries")
        state = Run(zendesk, samples_of(bundle, Outcome.ROUTE), random, bundle, folder, url)
        tickets = [state.new_ticket() for _ in range(int(count * (1 - DUPLICATES)))]
        moved = random.sample(tickets, int(len(tickets) * PERSONS))
        third = len(moved) // 3
        for number in moved[:third]:
            state.chosen[number] = state.another_group(number)
            zendesk.move(number, state.chosen[number])
        for number in moved[third : 2 * third]:
            state.chosen[number] = zendesk.before_update[number] = state.another_group(number)
        first = [(number, f"invocation-{number}") for number in tickets]
        again = [random.choice(first) for _ in range(count - len(first))]
        again = [(number, random.choice((name, f"{name}-again-{at}"))) for at, (number, name) in enumerate(again)]
        deliveries = first + again
        random.shuffle(deliveries)
        _deliver(state, deliveries, postgres, away_seconds)
        with state.serving(), httpx.Client(timeout=30) as client:
            _wait_until_written(state)
            for number in moved[2 * third :]:
                state.chosen[number] = state.another_group(number)
                zendesk.move(number, state.chosen[number])
                state.events[number] = zendesk.event("group_assignment_changed", number)
                state.send(client, number, f"invocation-{number}-late")
            _wait_until_written(state)
        _check(state, tickets)
        answers = ", ".join(f"{times} × {status}" for status, times in sorted(state.statuses.items()))
        return (
            f"{records}: {len(deliveries)} deliveries of {len(tickets)} tickets, two kills of the service"
            f"{', one of the database' if postgres else ''}, the helpdesk away for {away_seconds:.0f} s: "
            f"{len(tickets)} decided, 0 lost, 0 twice; {len(state.chosen)} moved by agents, 0 overwritten, "
            f"each once feedback ({answers})"
        )


def _deliver(state: Run, deliveries: list[tuple[int, str]], postgres: Postgres | None, away_seconds: float) -> None:
    """Send all, and break something at each fifth."""
    sent = threading.Semaphore(0)
    done = 0

    def fifth(part: int) -> None:
        nonlocal done
        while done < len(deliveries) * part // 5:
            assert sent.acquire(timeout=GIVE_UP_SECONDS), "no delivery was acknowledged"
            done += 1

    with httpx.Client(timeout=30, limits=httpx.Limits(max_connections=SENDERS)) as client:

        def send(delivery: tuple[int, str]) -> None:
            state.send(client, *delivery)
            sent.release()

        with ThreadPoolExecutor(SENDERS) as pool:
            results = [pool.submit(send, delivery) for delivery in deliveries]
            try:
                with state.serving() as service:
                    fifth(1)
                    state.zendesk.stop()
                    time.sleep(away_seconds)
                    state.zendesk.start()
                    fifth(2)
                    service.process.kill()
                with state.serving() as service:
                    fifth(3)
                    if postgres is not None:
                        postgres.kill()
                        time.sleep(1)
                        postgres.start()
                    fifth(4)
                    service.process.kill()
                with state.serving():
                    fifth(5)
                    for result in results:
                        result.result()
            except BaseException:
                state.failed = True
                raise


def _wait_until_written(state: Run) -> None:
    limit, fewest = time.monotonic() + DRAIN_SECONDS, sys.maxsize
    while left := len(state.query("SELECT ticket FROM outbox WHERE state IN ('waiting', 'running')")):
        if left < fewest:
            limit, fewest = time.monotonic() + DRAIN_SECONDS, left
        assert time.monotonic() < limit, f"{left} rows were never written"
        time.sleep(0.5)


def _check(state: Run, tickets: list[int]) -> None:
    decided = Counter(ticket for (ticket,) in state.query("SELECT ticket_id FROM decisions"))
    assert decided == Counter({f"{NAME}:{number}": 1 for number in tickets})
    assert state.query("SELECT count(*) FROM outbox WHERE state = 'dead'") == [(0,)]
    names = {group: name for name, group in GROUPS.items()}
    said = state.query("SELECT ticket_id, value, source FROM feedback")
    assert Counter(said) == Counter(
        (f"{NAME}:{number}", names[group], "agent") for number, group in state.chosen.items()
    )
    # A ticket's audits are in the order of its changes.
    chosen: set[int] = set()
    moves: Counter[int] = Counter()
    for audit in state.zendesk.audits:
        if audit.attribute == "group_id" and audit.author == PERSON:
            chosen.add(audit.ticket)
        elif audit.attribute == "group_id" and audit.author == ROUTER:
            assert audit.ticket not in chosen, f"ticket {audit.ticket} was moved back"
            moves[audit.ticket] += 1
    assert max(moves.values()) == 1, "a ticket was moved twice"
    for number in tickets:
        group = state.zendesk.group_of(number)
        assert group == state.chosen.get(number, state.expected[number]), f"ticket {number} is in {group}"


def main() -> None:
    parser = bundle_parser(__doc__)
    parser.add_argument("--count", type=int, default=10_000, metavar="N", help="deliveries")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--records", choices=("postgresql", "sqlite"), default="postgresql")
    options = parser.parse_args()
    started = time.monotonic()
    with bundle_or_tiny(options.bundle) as bundle, tempfile.TemporaryDirectory(prefix="deliveries-") as folder:
        print(run(bundle, Path(folder), options.count, options.seed, records=options.records))
    print(f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
