"""Opens the database of the records: a SQLite file of this process, or PostgreSQL, which several processes share.

SQLite comes with `pysqlite3`: Python's own module has the SQLite of the system, and versions before 3.51.3 can damage a
file in WAL mode that several connections write.
"""

import contextlib
import errno
import fcntl
import os
import socket
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pysqlite3 import dbapi2 as sqlite
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

from models.errors import TicketRouterError
from service.records.database.migrate import HEAD, migrate, refuse_newer, schema_version

FILE = "records.sqlite3"
BUSY_SECONDS = 5.0
"""How long SQLite waits for another writer: `records prune` writes beside the service, in short transactions."""
MIGRATION_SECONDS = 60.0
"""The same, for the migration of another process."""
CONNECT_SECONDS = 2
"""libpq's least."""
READERS = 2
ROOM_BYTES = 1_000_000
"""Free space that a new connection to SQLite wants: the probe alone fits where decisions do not, and after a checkpoint
a few fit again, so that on a full disk readiness would change with every ticket."""

_PROBE = text("UPDATE alembic_version SET version_num = version_num")


class RecordsError(TicketRouterError):
    """The records cannot be opened here, and waiting would not help."""


class Database(ABC):
    """`writer`: connections that write; `reader`: connections for queries, apart from it."""

    kind: str
    writer: Engine
    reader: Engine

    def lock(self) -> None:  # noqa: B027 - PostgreSQL is shared
        """Keep other services away from the same database, where it cannot be shared.

        Raises:
            RecordsError: another service uses it, or the folder cannot be written.
        """

    @abstractmethod
    def migrate(self, *, accept_newer: bool = False) -> bool:
        """Run the missing migrations; return whether there were any. `accept_newer`: of a running service, beside which
        the next version has started.

        Raises:
            SchemaError: a newer version has migrated the database.
        """

    def check_schema(self) -> None:
        """Check that the schema is this version's, without a change.

        Raises:
            RecordsError, SchemaError: it is older, newer, or there is none.
        """
        with self.reader.connect() as connection:
            current = schema_version(connection)
        refuse_newer(current)
        if current != HEAD:
            raise RecordsError(f"the records have schema {current or 'none'}, not {HEAD}: start the service once")

    @abstractmethod
    def connect(self) -> Connection:
        """A connection that has just written: the way is free, and the disk has room."""

    def interrupt(self) -> None:  # noqa: B027 - a local file cannot be interrupted
        """End every wait for the server, from any thread: its connections fail."""

    def close(self) -> None:
        self.interrupt()
        self.writer.dispose()
        self.reader.dispose()

    def _probed(self) -> Connection:
        connection = self.writer.connect()
        try:
            with connection.begin():
                connection.execute(_PROBE)
        except BaseException:
            connection.close()
            raise
        return connection


class SqliteFile(Database):
    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        self.writer = create_engine(
            "sqlite+pysqlite://", module=sqlite, creator=self._connect, poolclass=NullPool, hide_parameters=True
        )
        # One writing connection, which takes its lock at once: a transaction that reads first could not wait for it.
        event.listen(self.writer, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        self.reader = create_engine(
            "sqlite+pysqlite://", module=sqlite, creator=self._connect_reader, poolclass=NullPool, hide_parameters=True
        )
        event.listen(self.reader, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))

    def lock(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordsError(
                f"{self.path} is in use by another service: set another TICKET_ROUTER_STATE_DIR for this one, or "
                "TICKET_ROUTER_RECORDS to a PostgreSQL database, which several services can share"
            ) from None
        except OSError as error:
            raise RecordsError(
                f"the records cannot be kept in {self.path.parent} ({error.strerror}): set TICKET_ROUTER_STATE_DIR to "
                "a folder on a disk, or TICKET_ROUTER_RECORDS to off or to a PostgreSQL database"
            ) from error

    def migrate(self, *, accept_newer: bool = False) -> bool:
        connection = self._connect(MIGRATION_SECONDS)
        try:
            engine = create_engine("sqlite+pysqlite://", module=sqlite, creator=lambda: connection, poolclass=NullPool)
            event.listen(engine, "begin", lambda each: each.exec_driver_sql("BEGIN EXCLUSIVE"))
            with engine.begin() as each:
                return migrate(each, accept_newer=accept_newer)
        finally:
            connection.close()

    def connect(self) -> Connection:
        disk = os.statvfs(self.path.parent)
        if disk.f_bavail * disk.f_frsize < ROOM_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._probed()

    def close(self) -> None:
        super().close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _connect(self, busy_seconds: float = BUSY_SECONDS) -> Any:
        # 0600: the file holds what tickets were about.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = sqlite.connect(str(self.path), timeout=busy_seconds, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode=WAL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_reader(self) -> Any:
        return sqlite.connect(
            f"file:{quote(str(self.path.absolute()))}?mode=ro",
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )


class PostgreSQL(Database):
    """`password_file` is read again for every connection: a rotated secret takes effect without a restart."""

    kind = "postgresql"

    def __init__(self, url: URL, password_file: Path | None) -> None:
        self._password_file = password_file
        self._sockets: dict[int, int] = {}
        self._guard = threading.Lock()
        options: dict[str, Any] = {
            "hide_parameters": True,
            "connect_args": {
                "connect_timeout": CONNECT_SECONDS,
                "application_name": "ticket-router",
                "prepare_threshold": None,  # PgBouncer's transaction pooling has no prepared statements of a session
            },
        }
        self.writer = create_engine(url, poolclass=NullPool, **options)
        self.reader = create_engine(
            url, poolclass=QueuePool, pool_size=READERS, max_overflow=0, pool_pre_ping=True, **options
        )
        for engine in (self.writer, self.reader):
            event.listen(engine, "do_connect", self._set_password)
            event.listen(engine, "connect", self._remember)
            event.listen(engine, "close", self._forget)

    def migrate(self, *, accept_newer: bool = False) -> bool:
        with self.writer.begin() as connection:
            return migrate(connection, accept_newer=accept_newer)

    def connect(self) -> Connection:
        return self._probed()

    def interrupt(self) -> None:
        with self._guard:
            for descriptor in self._sockets.values():
                # A duplicate: closing it leaves the connection's own descriptor open, and only `shutdown` acts on both.
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as each:
                    each.shutdown(socket.SHUT_RDWR)

    def _set_password(self, _dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        if self._password_file is not None:
            parameters["password"] = self._password_file.read_text().strip()

    def _remember(self, connection: Any, _record: Any) -> None:
        with self._guard:
            self._sockets[id(connection)] = connection.fileno()

    def _forget(self, connection: Any, _record: Any) -> None:
        with self._guard:
            self._sockets.pop(id(connection), None)


def open_database(records: str, state_dir: Path, password_file: Path | None = None) -> Database:
    """The database that the setting `records` names, not yet connected; see `Settings.records`."""
    if records == "sqlite":
        return SqliteFile(state_dir / FILE)
    return PostgreSQL(postgresql_url(records), password_file)


def postgresql_url(value: str) -> URL:
    """The URL with its driver.

    Raises:
        ValueError: not a URL of PostgreSQL; the message does not repeat it, for it may hold a password.
    """
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in ("postgresql", "postgres") or not url.database:
        raise ValueError("must be off, sqlite, or postgresql://user@host:5432/database")
    return url.set(drivername="postgresql+psycopg")


def cause_of(error: BaseException) -> str:
    """Why the database did not do its work, in one line without content: the message of a connection's failure, for a
    statement's its class and code, since messages about statements quote values."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    module = type(original).__module__.partition(".")[0]
    if isinstance(original, OSError):
        return original.strerror or type(original).__name__
    if module == "pysqlite3" or (module == "psycopg" and code is None):
        return " ".join(str(original).split())
    return f"{type(original).__name__}{f' ({code})' if code else ''}"


def is_away(error: BaseException) -> bool:
    """Whether the database cannot work now, rather than refusing one row."""
    if isinstance(error, DBAPIError):
        names = [each.__name__ for each in type(error.orig).__mro__]
        # A plain DatabaseError is SQLite's for a damaged file; its subclasses are about one statement.
        return error.connection_invalidated or names[0] == "DatabaseError" or not _AWAY.isdisjoint(names)
    return isinstance(error, OSError)


_AWAY = frozenset({"OperationalError", "InterfaceError", "InternalError"})
"""PEP 249's classes for the state of a database: gone, full, read-only, locked, damaged."""
