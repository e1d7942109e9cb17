"""`Records`: what the rest of the service knows of the record. See the package for the interface."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from service.errors import DeadlinePassed, KeyReused, RecordsUnavailable
from service.records.database.connections import READERS, cause_of, is_away, open_database
from service.records.identity import Identity
from service.records.metrics import RecordMetrics
from service.records.rows import Draft, new_decision
from service.records.spool import SPOOL, Spool
from service.records.store import Stored
from service.records.writer import Writer
from service.settings import Settings

T = TypeVar("T")

READ_SECONDS = 5.0
"""Longest time of a query; a page of decisions takes milliseconds."""

_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _First:
    """A request at work whose repetitions wait for it. `stored` is None if it failed: then one of them is the first."""

    digest: str
    done: asyncio.Event = field(default_factory=asyncio.Event)
    stored: Stored | None = None


class Records:
    """`on_change`: called with the cause when decisions cannot be recorded, and with None when they can again; not
    while they are spooled.

    Use from one event loop only.
    """

    def __init__(
        self, settings: Settings, registry: CollectorRegistry, on_change: Callable[[str | None], None]
    ) -> None:
        self.database = open_database(settings.records, settings.state_dir, settings.records_password_file)
        self.metrics = RecordMetrics(registry, settings.records_spool_bytes)
        self._degrade = settings.records_when_away == "degrade"
        self._on_change = on_change
        self.folder = settings.state_dir
        path = self.folder / SPOOL
        # With `refuse` too, what was spooled before is drained.
        spool = Spool(path, settings.records_spool_bytes) if self._degrade or _has_content(path) else None
        self._writer = Writer(self.database, spool, self.metrics, self._changed, degrade=self._degrade)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="records-read")
        self._at_work: dict[tuple[str, str], _First] = {}

    async def start(self) -> None:
        """Lock, migrate and connect. A server that is away does not prevent the start.

        Raises:
            RecordsError, SchemaError: the database cannot be used; waiting would not help.
        """
        self.database.lock()
        await self._writer.start()

    async def stop(self) -> None:
        """Commit what is queued and close the database. No effect if it was not started."""
        await self._writer.stop()
        self._readers.shutdown(wait=False, cancel_futures=True)

    @property
    def cause(self) -> str | None:
        """Why the database takes no decisions now; None: it does."""
        return self._writer.cause

    def status(self) -> dict[str, Any]:
        """The values of `schemas.RecordsOut`."""
        rows, size = self.metrics.spool
        return {
            "database": self.database.kind,
            "cause": self.cause,
            "when_away": "degrade" if self._degrade else "refuse",
            "spool_rows": rows,
            "spool_bytes": size,
        }

    def check(self) -> None:
        """Check that a decision could be recorded now, before one is made.

        Raises:
            RecordsUnavailable
        """
        if self._writer.refuses:
            raise RecordsUnavailable

    async def once(self, identity: Identity, deadline: float, decide: Callable[[], Awaitable[Draft]]) -> Stored:
        """The decision of this request: the one on record if it repeats another, else the one that `decide` makes,
        after its commit. `deadline`: in the loop's time, for the wait for an equal request that is at work.

        Raises:
            KeyReused: the key belongs to a request with another content.
            DeadlinePassed: the equal request was still at work.
            RecordsUnavailable, RecordsFailed: the decision is not on record, so it must not be given.
        """
        if identity.key is None:
            return await self._record(identity, await decide())
        key = (identity.caller, identity.key)
        while (first := self._at_work.get(key)) is not None:
            if first.digest != identity.digest:
                raise KeyReused
            try:
                async with asyncio.timeout_at(deadline):
                    await first.done.wait()
            except TimeoutError:
                raise DeadlinePassed from None
            if first.stored is not None:
                self.metrics.repeated()
                return first.stored._replace(repeated=True, decision=None)
        first = self._at_work[key] = _First(identity.digest)
        try:
            first.stored = await self._record(identity, await decide())
            return first.stored
        finally:
            del self._at_work[key]
            first.done.set()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own on the one writing connection.

        Raises:
            RecordsUnavailable: the database is away, also where decisions are spooled.
        """
        return await self._writer.run(work)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run a query on a connection of its own.

        Raises:
            RecordsUnavailable: the database is away.
        """
        loop = asyncio.get_running_loop()
        try:
            # Not `asyncio.wait_for`, which before Python 3.12 loses a cancellation that comes as the query ends.
            async with asyncio.timeout(READ_SECONDS):
                return await loop.run_in_executor(self._readers, self._query, query)
        except TimeoutError:
            raise RecordsUnavailable from None
        except Exception as error:
            if not is_away(error):
                raise
            _log.warning("query of the records failed", cause=cause_of(error))
            raise RecordsUnavailable from None

    def _query(self, query: Callable[[Connection], T]) -> T:
        with self.database.reader.begin() as connection:
            return query(connection)

    async def _record(self, identity: Identity, draft: Draft) -> Stored:
        stored = await self._writer.insert(new_decision(draft, identity))
        if stored.request_digest != identity.digest:
            raise KeyReused
        if stored.repeated:
            self.metrics.repeated()
        return stored

    def _changed(self, cause: str | None) -> None:
        self.metrics.set_up(cause is None)
        self._on_change(cause if self._writer.refuses else None)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
