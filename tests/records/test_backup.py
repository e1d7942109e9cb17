"""A backup holds every table of the record, and goes into either database."""

import gzip
import json
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select

from service.records.database.connections import Database, RecordsError, open_database
from service.records.database.schema import metadata
from service.records.upkeep import backup, restore

TABLES = tuple(metadata.tables.values())


def filled(records: str, folder: Path) -> Database:
    """A record with a row in every table, each column with a value."""
    database = open_database(records, folder)
    folder.mkdir()
    database.migrate()
    with database.writer.begin() as connection:
        for table in TABLES:
            values = {column.name: column.type.python_type(1) for column in table.columns}
            connection.execute(insert(table), values)
    return database


def rows(database: Database) -> list[object]:
    def read(connection: Connection) -> list[object]:
        return [tuple(row) for table in TABLES for row in connection.execute(select(table))]

    with database.reader.begin() as connection:
        return read(connection)


def test_every_table_is_restored_into_the_other_database(tmp_path: Path, records: str, postgres_url: str) -> None:
    saved = tmp_path / "saved.gz"
    source = filled(records, tmp_path / "a")
    backup(source, saved)
    other = open_database("sqlite" if records != "sqlite" else postgres_url, tmp_path / "b")
    assert restore(other, saved) == {table.name: 1 for table in TABLES}
    assert rows(other) == rows(source)
    source.close()
    other.close()


def test_backup_of_a_version_with_fewer_tables_is_restored(tmp_path: Path) -> None:
    content = b'{"format":"ticket-router-records","schema":"0001"}\n{"rows":{"decisions":0,"feedback":0,"texts":0}}\n'
    (tmp_path / "old.gz").write_bytes(gzip.compress(content))
    database = open_database("sqlite", tmp_path / "new")
    assert set(restore(database, tmp_path / "old.gz").values()) == {0}
    database.close()


@pytest.mark.parametrize("fault", ["cut", "a row less", "no gzip", "absent"])
def test_broken_backup_is_refused_and_nothing_of_it_restored(tmp_path: Path, fault: str) -> None:
    source, saved, target = filled("sqlite", tmp_path / "a"), tmp_path / "saved.gz", tmp_path / "b"
    backup(source, saved)
    source.close()
    if fault == "cut":
        saved.write_bytes(saved.read_bytes()[:-40])
    elif fault == "a row less":
        lines = gzip.decompress(saved.read_bytes()).splitlines(keepends=True)
        assert json.loads(lines[1])[0] == "decisions"
        saved.write_bytes(gzip.compress(b"".join([lines[0], *lines[2:]])))
    elif fault == "no gzip":
        saved.write_bytes(b"no backup")
    else:
        saved.unlink()
    database = open_database("sqlite", target)
    with pytest.raises(RecordsError, match="cannot be read" if fault == "absent" else "nothing was restored"):
        restore(database, saved)
    assert not (target / "records.sqlite3").exists() or rows(database) == []
    database.close()
