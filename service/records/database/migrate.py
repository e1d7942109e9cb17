"""Brings a database to the schema of this version, once, however many processes start at the same time.

All migrations of a start are one transaction: a process that is killed half-way leaves the schema as it was. The lock
belongs to that transaction as well, so that it ends with the process: an advisory lock on PostgreSQL, and the
transaction itself (BEGIN EXCLUSIVE) on SQLite.
"""

import logging
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from models.errors import TicketRouterError

HEAD = "0006"
"""The newest migration. Comparing with it saves a start the import of Alembic, some 200 ms."""
LOCK = 7_481_932_140
"""The number of PostgreSQL's advisory lock: arbitrary, and the same in every version."""
MIGRATIONS = Path(__file__).parent / "migrations"

_VERSION = text("SELECT version_num FROM alembic_version")


class SchemaError(TicketRouterError):
    """The database has a schema that this version does not know."""


def schema_version(connection: Connection) -> str | None:
    """The last migration of the database; None: there was none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(_VERSION).scalar()


def migrate(connection: Connection, *, accept_newer: bool = False) -> bool:
    """Run the missing migrations within the transaction that the caller has begun; return whether there were any.

    On SQLite the caller has begun an exclusive transaction. `accept_newer`: work with a newer schema, which only adds.

    Raises:
        SchemaError: a newer version has written this database.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
    current = schema_version(connection)
    if not accept_newer:
        refuse_newer(current)
    if current is not None and current >= HEAD:
        return False
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a line for each of its plugins
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return True


def refuse_newer(current: str | None) -> None:
    """Raise SchemaError if a newer version has migrated the database."""
    if current is not None and current > HEAD:
        raise SchemaError(
            f"the records have schema {current}, and this version knows {HEAD}: a newer version has migrated them; "
            "run that version, or restore a backup from before"
        )
