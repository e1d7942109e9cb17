"""The one thread that writes: it commits whatever is queued as soon as it is free.

The event loop appends an entry and awaits its reply; a reply is settled once, after the commit (or the fsync of the
spool). Nothing waits for a group to fill: while one commit is at work the next group gathers by itself.

Errors of the database do not end the thread. While the database is away another thread tries to connect, so that new
entries are answered at once: refused, or spooled.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, text

from service.errors import RecordsFailed, RecordsUnavailable, ServiceError
from service.records.database.connections import Database, RecordsError, cause_of, is_away
from service.records.database.migrate import SchemaError
from service.records.metrics import RecordMetrics
from service.records.spool import Spool, Spooled
from service.records.store import NewDecision, Stored, insert_all, insert_spooled, stored_of

T = TypeVar("T")

COMMIT_SECONDS = 2.0
"""A commit that takes longer is given up: the server hangs. An fsync of a busy disk takes a tenth of that."""
RETRY_SECONDS = 0.25
"""Between two attempts to connect: with it, the first answer comes within a second of the database's return."""
PING_SECONDS = 1.0
"""An idle connection is tested this often, so that readiness tells of a database that is gone."""
WATCH_SECONDS = 0.25
STOP_SECONDS = 5.0
GROUP = 500
"""Most entries of one commit, for the number of parameters of one statement is limited."""
DRAIN_ROWS = 500

_PING = text("SELECT 1")
_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Entry:
    new: NewDecision
    reply: "asyncio.Future[Stored]"


@dataclass(eq=False, slots=True)
class _Job:
    work: Callable[[Connection], Any]
    reply: "asyncio.Future[Any]"


@dataclass(frozen=True, slots=True)
class _Connected:
    connection: Connection


_Result = Stored | type[ServiceError]


class Writer:
    """`spool`: drained when the database is there. `degrade`: written while it is away; otherwise entries are refused.
    `on_change` is called on the event loop with the cause when the database goes away, and with None when it is
    back."""

    def __init__(
        self,
        database: Database,
        spool: Spool | None,
        metrics: RecordMetrics,
        on_change: Callable[[str | None], None],
        *,
        degrade: bool,
    ) -> None:
        self._database = database
        self._spool = spool
        self._degrade = degrade
        self._metrics = metrics
        self._on_change = on_change
        self._queue: queue.SimpleQueue[_Entry | _Job | _Connected | None] = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._stopping = threading.Event()
        self._connecting = False
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)
        # Of the event loop:
        self.cause: str | None = "not connected yet"
        self._waiting: set[asyncio.Future[Any]] = set()
        self._busy_since: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Connect and migrate. If the database is away, return after the first attempt: later ones follow by
        themselves.

        Raises:
            RecordsError, SchemaError: the database cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        first: asyncio.Future[None] = self._loop.create_future()
        if self._spool is not None:
            self._spool.open()
            self._metrics.set_spool(self._spool.rows, self._spool.bytes)
        threading.Thread(target=self._connect, args=(first,), name="records-connect", daemon=True).start()
        await first
        self._connecting = self._connection is None
        self._thread.start()
        self._watch = self._loop.call_later(WATCH_SECONDS, self._check_progress)

    async def stop(self) -> None:
        """Commit what is queued, and end the thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)
        if self._watch is not None:
            self._watch.cancel()
        self._fail_waiting()
        self._database.close()
        if self._spool is not None and not self._thread.is_alive():
            self._spool.close()

    @property
    def refuses(self) -> bool:
        """Whether an entry would be refused now."""
        return self.cause is not None and not (self._degrade and self._metrics.spool_has_room)

    async def insert(self, new: NewDecision) -> Stored:
        """The row on record, after its commit.

        Raises:
            RecordsUnavailable: it could not be stored. After a commit that was given up, it may be stored all the same:
                a repetition of the request finds it.
            RecordsFailed: the database refused this row.
        """
        reply: asyncio.Future[Stored] = self._loop.create_future()
        return await self._put(_Entry(new, reply), reply)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run in a transaction of its own, in the thread of the writer, and commit. An error of `work` rolls back.

        Raises:
            RecordsUnavailable: the database is away, also where decisions are spooled.
        """
        reply: asyncio.Future[T] = self._loop.create_future()
        return await self._put(_Job(work, reply), reply)

    async def _put(self, item: "_Entry | _Job", reply: "asyncio.Future[T]") -> T:
        if self._stopping.is_set():
            raise RecordsUnavailable
        self._waiting.add(reply)
        self._queue.put(item)
        try:
            return await reply
        finally:
            self._waiting.discard(reply)

    def _check_progress(self) -> None:
        """Interrupt a commit that takes too long; if that does not help, answer those that wait for it."""
        busy_since = self._busy_since
        busy_seconds = 0.0 if busy_since is None else time.monotonic() - busy_since
        if busy_seconds > COMMIT_SECONDS:
            self._database.interrupt()
        if busy_seconds > 2 * COMMIT_SECONDS:
            self._set_cause("a commit takes too long")
            self._fail_waiting()
        self._watch = self._loop.call_later(WATCH_SECONDS, self._check_progress)

    def _fail_waiting(self) -> None:
        for reply in self._waiting:
            if not reply.done():
                reply.set_exception(RecordsUnavailable())

    def _set_cause(self, cause: str | None) -> None:
        if cause != self.cause:
            self.cause = cause
            self._on_change(cause)

    # In the writer's thread:

    def _run(self) -> None:
        ended = False
        while not ended:
            entries, jobs, ended = self._take()
            self._busy_since = time.monotonic()
            try:
                if entries:
                    self._store(entries)
                for job in jobs:
                    self._run_job(job)
                if self._connection is not None and not ended:
                    if self._has_spooled():
                        self._drain()
                    elif not entries and not jobs:
                        self._ping()
            except Exception:  # the thread must not end: every later ticket would wait for it
                _log.exception("records writer failed")
                self._go_away("an unexpected error")
                self._settle([(entry.reply, RecordsFailed) for entry in entries])
            finally:
                self._busy_since = None
        if self._connection is not None:
            self._connection.close()

    def _take(self) -> tuple[list[_Entry], list[_Job], bool]:
        """All that is queued; waits for the first item."""
        entries: list[_Entry] = []
        jobs: list[_Job] = []
        wait = 0.0 if self._connection is not None and self._has_spooled() else PING_SECONDS
        with contextlib.suppress(queue.Empty):
            item = self._queue.get(timeout=wait) if wait else self._queue.get_nowait()
            while True:
                if isinstance(item, _Entry):
                    entries.append(item)
                elif isinstance(item, _Job):
                    jobs.append(item)
                elif item is None:
                    return entries, jobs, True
                else:
                    self._connection, self._connecting = item.connection, False
                    self._call(self._set_cause, None)
                    _log.info("records available", database=self._database.kind)
                if len(entries) >= GROUP:
                    break
                item = self._queue.get_nowait()
        return entries, jobs, False

    def _store(self, entries: Sequence[_Entry]) -> None:
        """Commit the entries together, or spool them, and settle them."""
        if self._spool is not None and self._spool.rows:
            entries = self._settle_repetitions(self._spool, entries)
        started = time.perf_counter()
        for may_reconnect in (True, False):
            if self._connection is None or not entries:
                break
            try:
                with self._connection.begin():
                    stored = insert_all(self._connection, [entry.new for entry in entries])
            except Exception as error:
                if not is_away(error):
                    self._store_one_by_one(entries, error)
                    return
                self._disconnect()
                hung = time.perf_counter() - started > COMMIT_SECONDS
                if hung or not may_reconnect or not self._reconnect_at_once():
                    self._go_away(cause_of(error))
            else:
                repeated = sum(row is not None and row.repeated for row in stored)
                self._call(self._metrics.committed, len(entries) - repeated, time.perf_counter() - started)
                self._settle(
                    [(entry.reply, row or RecordsUnavailable) for entry, row in zip(entries, stored, strict=True)]
                )
                return
        self._spool_or_refuse(entries)

    def _store_one_by_one(self, entries: Sequence[_Entry], error: Exception) -> None:
        """The database refused a statement: one row must not take the others with it."""
        if len(entries) > 1:
            for entry in entries:
                self._store([entry])
        else:
            _log.error("decision not recorded", cause=cause_of(error), exc_info=error)
            self._settle([(entries[0].reply, RecordsFailed)])

    def _settle_repetitions(self, spool: Spool, entries: Sequence[_Entry]) -> list[_Entry]:
        """Answer the entries that repeat a spooled decision; return the others."""
        others, results = [], []
        for entry in entries:
            row, earlier = entry.new.row, entry.new.earlier
            found = None
            if row["idempotency_key"] is not None:
                found = spool.find(row["caller"], row["idempotency_key"])
            if found is None and earlier is not None:
                found = spool.find(row["caller"], earlier[0])
                if found is not None and found["created_at"] < earlier[1]:
                    found = None
            if found is None:
                others.append(entry)
            else:
                results.append((entry.reply, stored_of(found, repeated=True)))
        self._settle(results)
        return others

    def _spool_or_refuse(self, entries: Sequence[_Entry]) -> None:
        # The spool has no place for further rows: a helpdesk sends its call again.
        self._settle([(entry.reply, RecordsUnavailable) for entry in entries if entry.new.further])
        entries = [entry for entry in entries if not entry.new.further]
        kept = 0
        if self._degrade and self._spool is not None and entries:
            try:
                kept = self._spool.append([Spooled(entry.new.row, entry.new.text) for entry in entries])
            except OSError as error:
                _log.error("decisions not spooled", cause=error.strerror)
            self._call(self._metrics.spooled, self._spool.rows, self._spool.bytes)
        results: list[tuple[asyncio.Future[Stored], _Result]] = [
            (entry.reply, stored_of(entry.new.row)._replace(decision=entry.new.decision)) for entry in entries[:kept]
        ]
        self._settle([*results, *((entry.reply, RecordsUnavailable) for entry in entries[kept:])])

    def _run_job(self, job: _Job) -> None:
        if self._connection is None:
            self._settle([(job.reply, RecordsUnavailable)])
            return
        try:
            with self._connection.begin():
                result = job.work(self._connection)
        except Exception as error:
            if is_away(error):
                self._go_away(cause_of(error))
                error = RecordsUnavailable()
            self._call(_set, job.reply, None, error)
        else:
            self._call(_set, job.reply, result, None)

    def _has_spooled(self) -> bool:
        return self._spool is not None and self._spool.rows > 0

    def _drain(self) -> None:
        assert self._spool is not None
        assert self._connection is not None
        chunk, offset = self._spool.next_chunk(DRAIN_ROWS)
        try:
            with self._connection.begin():
                second = insert_spooled(self._connection, [NewDecision(row, text) for row, text in chunk])
        except Exception as error:
            if not is_away(error):
                raise
            self._go_away(cause_of(error))
            return
        self._spool.drained_to(offset, len(chunk))
        self._call(self._metrics.drained, len(chunk), self._spool.rows, self._spool.bytes)
        if second:
            _log.warning("spooled decisions repeat others", rows=second)
        if not self._spool.rows:
            _log.info("spool drained")

    def _ping(self) -> None:
        if self._database.kind != "postgresql" or self._connection is None:
            return
        try:
            with self._connection.begin():
                self._connection.execute(_PING)
        except Exception as error:
            self._go_away(cause_of(error))

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):  # a broken connection may fail at its end, too
                self._connection.invalidate()
                self._connection.close()
            self._connection = None

    def _reconnect_at_once(self) -> bool:
        """A server that was restarted has closed the connection, and takes a new one."""
        if self._database.kind != "postgresql":
            return False
        try:
            self._connection = self._database.connect()
        except Exception:
            return False
        return True

    def _go_away(self, cause: str) -> None:
        self._disconnect()
        _log.error("records unavailable", cause=cause, policy="degrade" if self._degrade else "refuse")
        self._call(self._set_cause, cause)
        if not self._connecting:
            self._connecting = True
            threading.Thread(target=self._connect, name="records-connect", daemon=True).start()

    def _connect(self, first: "asyncio.Future[None] | None" = None) -> None:
        """Try until there is a connection. In a thread of its own: an attempt may take seconds. `first`: settled after
        the first attempt at start."""
        while not self._stopping.is_set():
            try:
                self._database.migrate(accept_newer=first is None)
                connection = self._database.connect()
            except (RecordsError, SchemaError) as error:
                cause, fatal = str(error), error
            except Exception as error:
                cause, fatal = cause_of(error), None
                if first is not None and not is_away(error):
                    fatal = RecordsError(f"the records cannot be opened: {cause}")
            else:
                if self._stopping.is_set():
                    connection.close()
                elif first is not None:
                    self._connection = connection
                    self._call(self._set_cause, None)
                    self._call(_set, first, None, None)
                else:
                    self._queue.put(_Connected(connection))
                return
            if first is not None:
                if fatal is None:
                    _log.error("records unavailable", cause=cause, policy="degrade" if self._degrade else "refuse")
                    self._call(self._set_cause, cause)
                self._call(_set, first, None, fatal)
                if fatal is not None:
                    return
                first = None
            self._stopping.wait(RETRY_SECONDS)

    def _settle(self, results: "Sequence[tuple[asyncio.Future[Stored], _Result]]") -> None:
        if results:
            self._call(_settle, results)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: so have its waiters
            self._loop.call_soon_threadsafe(function, *arguments)


def _settle(results: "Sequence[tuple[asyncio.Future[Stored], _Result]]") -> None:
    """On the event loop, once per commit."""
    for reply, result in results:
        if not reply.done():
            if isinstance(result, Stored):
                reply.set_result(result)
            else:
                reply.set_exception(result())


def _set(reply: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
    if not reply.done():
        if error is None:
            reply.set_result(value)
        else:
            reply.set_exception(error)
