"""The schema: once for all processes, whole or not at all."""

import asyncio
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from service.records.database.connections import RecordsError, open_database
from service.records.database.migrate import HEAD, MIGRATIONS, SchemaError, schema_version
from service.records.database.schema import metadata
from tests.support.records import recording


def migrate(records: str, folder: Path) -> bool:
    database = open_database(records, folder)
    try:
        return database.migrate()
    finally:
        database.close()


def test_ten_processes_at_once_migrate_once(tmp_path: Path, records: str) -> None:
    with multiprocessing.get_context("spawn").Pool(10) as pool:
        migrated = pool.starmap(migrate, [(records, tmp_path)] * 10, chunksize=1)
    assert sorted(migrated) == [False] * 9 + [True]


def test_process_killed_while_migrating_leaves_nothing_half_done(tmp_path: Path, records: str) -> None:
    for milliseconds in range(0, 200, 20):
        child = multiprocessing.get_context("fork").Process(target=migrate, args=(records, tmp_path))
        child.start()
        time.sleep(milliseconds / 1000)
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        database = open_database(records, tmp_path)
        with database.writer.connect() as connection:
            found = set(connection.dialect.get_table_names(connection))
            connection.rollback()
            assert found == set() or found >= {"decisions", "feedback", "texts", "alembic_version"}
        database.close()
    migrate(records, tmp_path)
    assert not migrate(records, tmp_path)


def test_migrations_make_the_tables_of_the_code(tmp_path: Path, records: str) -> None:
    migrate(records, tmp_path)
    database = open_database(records, tmp_path)
    with database.writer.begin() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert schema_version(connection) == HEAD
    database.close()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_database_of_a_newer_version_is_refused_at_start(tmp_path: Path, records: str) -> None:
    migrate(records, tmp_path)
    database = open_database(records, tmp_path)
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()

    async def scenario() -> None:
        async with recording(tmp_path, records):
            pass

    with pytest.raises(SchemaError, match="schema 9999, and this version knows"):
        asyncio.run(scenario())


def test_file_that_is_no_database_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "records.sqlite3").write_bytes(b"no database, but long enough to be one" * 100)

    async def scenario() -> None:
        async with recording(tmp_path):
            pass

    with pytest.raises(RecordsError, match="cannot be opened: file is not a database"):
        asyncio.run(scenario())
