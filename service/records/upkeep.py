"""What an operator does with the record from the command line: statistics, pruning, backup and restore.

A backup is the rows of all tables as compressed JSON lines, of both databases alike: a record can move from SQLite to
PostgreSQL by a backup and a restore.
"""

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import to_json
from sqlalchemy import Connection, Table, func, insert, select

from models.private_file import private_file
from service.records.database.connections import Database, RecordsError
from service.records.database.migrate import HEAD
from service.records.database.schema import decisions, feedback, metadata, milliseconds_now, milliseconds_of, texts
from service.records.queries import all_decisions
from service.records.retention import portions
from service.records.rows import timestamp

TABLES = tuple(metadata.tables.values())
PORTION = 500
"""Rows of one transaction or query: a service that writes beside it waits only for so many."""
FORMAT = "ticket-router-records"


def stats(database: Database) -> dict[str, Any]:
    with database.reader.begin() as connection:
        total, oldest, newest = connection.execute(
            select(func.count(), func.min(decisions.c.id), func.max(decisions.c.id)).select_from(decisions)
        ).one()
        outcomes = connection.execute(select(decisions.c.outcome, func.count()).group_by(decisions.c.outcome)).all()
        return {
            "database": database.kind,
            "schema": HEAD,
            "decisions": total,
            "oldest": None if oldest is None else timestamp(milliseconds_of(oldest)),
            "newest": None if newest is None else timestamp(milliseconds_of(newest)),
            "outcomes": {row.outcome: row[1] for row in sorted(outcomes, key=lambda row: str(row.outcome))},
            "feedback": connection.execute(select(func.count()).select_from(feedback)).scalar(),
            "texts": connection.execute(select(func.count()).select_from(texts)).scalar(),
        }


def export(database: Database, target: Path, since_ms: int = 0) -> int:
    """Write one JSON line a decision, oldest first, of one moment; return their number."""
    count = 0
    with _written(target) as file, snapshot(database) as connection:
        for record in all_decisions(connection, since_ms):
            file.write(to_json(record) + b"\n")
            count += 1
    return count


def prune(database: Database, days: int | None, text_days: int | None) -> tuple[int, int]:
    """Delete the decisions that are older than `days`, with their feedback and texts, and the texts that are older than
    `text_days`; None: none. Returns the numbers of decisions and of texts alone."""
    found = portions(days, text_days, milliseconds_now())
    deleted = {"decisions": 0, "texts": 0} | dict.fromkeys(found, 0)
    for name, prune_portion in found.items():
        while True:
            with database.writer.begin() as connection:
                count = prune_portion(connection)
            if not count:
                break
            deleted[name] += count
    return deleted["decisions"], deleted["texts"]


def backup(database: Database, target: Path) -> dict[str, int]:
    """Write all rows, of one moment, beside a running service; return their number by table."""
    counts: dict[str, int] = {}
    with _written(target) as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        packed.write(to_json({"format": FORMAT, "schema": HEAD}) + b"\n")
        with snapshot(database) as connection:
            for table in TABLES:
                counts[table.name] = 0
                for row in _all_rows(connection, table):
                    packed.write(to_json([table.name, dict(row._mapping)]) + b"\n")
                    counts[table.name] += 1
        packed.write(to_json({"rows": counts}) + b"\n")
    return counts


def restore(database: Database, source: Path) -> dict[str, int]:
    """Fill an empty database from a backup, in one transaction; return the number of rows by table.

    Raises:
        RecordsError: the database is not empty or in use, or the file is no complete backup.
    """
    try:
        opened = source.open("rb")
    except OSError as error:
        raise RecordsError(f"{source}: cannot be read ({error.strerror})") from error
    try:
        with opened, gzip.GzipFile(fileobj=opened) as file:
            header = json.loads(file.readline())
            if header.get("format") != FORMAT or header["schema"] > HEAD:
                raise RecordsError(f"{source}: not a backup of this version's records or an earlier one's")
            database.lock()
            database.migrate()
            with database.writer.begin() as connection:
                for table in TABLES:
                    if connection.execute(select(table).limit(1)).first() is not None:
                        raise RecordsError("the database is not empty: restore into a new one")
                counts = dict.fromkeys((table.name for table in TABLES), 0)
                trailer = _insert_lines(connection, file, counts)
                # A backup of an earlier version lacks the tables that are new.
                if counts != dict.fromkeys(counts, 0) | trailer["rows"]:
                    raise RecordsError(f"{source}: the backup is incomplete; nothing was restored")
    except (gzip.BadGzipFile, EOFError, ValueError, KeyError, AttributeError, TypeError, zlib.error) as error:
        raise RecordsError(f"{source}: not a complete backup; nothing was restored") from error
    return counts


def snapshot(database: Database) -> Any:
    """A connection whose queries all see the same moment."""
    if database.kind == "postgresql":
        return database.reader.execution_options(isolation_level="REPEATABLE READ").begin()
    return database.reader.begin()


def _insert_lines(connection: Connection, file: Any, counts: dict[str, int]) -> Any:
    """Insert the rows up to the trailer, and return the trailer; None: there is none."""
    tables = {table.name: table for table in TABLES}
    name, rows = "", list[dict[str, Any]]()

    def flush() -> None:
        if rows:
            connection.execute(insert(tables[name]), rows)
            counts[name] += len(rows)
            rows.clear()

    for line in file:
        content = json.loads(line)
        if isinstance(content, dict):
            flush()
            return content
        if content[0] != name or len(rows) == PORTION:
            flush()
            name = content[0]
        rows.append(content[1])
    return None


def _all_rows(connection: Connection, table: Table) -> Iterator[Any]:
    (key,) = table.primary_key.columns
    query = select(table).order_by(key).limit(PORTION)
    condition = key >= ""
    while rows := connection.execute(query.where(condition)).all():
        yield from rows
        condition = key > rows[-1]._mapping[key.name]


@contextlib.contextmanager
def _written(target: Path) -> Iterator[BinaryIO]:
    """Raises: RecordsError: the file cannot be written."""
    try:
        with private_file(target) as file:
            yield file
    except OSError as error:
        raise RecordsError(f"{target}: cannot be written ({error.strerror})") from error
