"""The table `recalibrations`: who asked for which precision target, and when. A person runs the command."""

from typing import NamedTuple

from sqlalchemy import Connection, insert, select
from ulid import ULID

from service.records.database.schema import milliseconds_of, recalibrations

SHOWN = 20


class Request(NamedTuple):
    at_ms: int
    bundle: str
    target: float
    command: str
    who: str


def file_request(connection: Connection, bundle: str, target: float, command: str, who: str) -> str:
    """Returns its id."""
    row = {"id": str(ULID()), "bundle": bundle, "target": target, "command": command, "who": who}
    connection.execute(insert(recalibrations), [row])
    return str(row["id"])


def newest(connection: Connection) -> list[Request]:
    rows = connection.execute(select(recalibrations).order_by(recalibrations.c.id.desc()).limit(SHOWN))
    return [Request(milliseconds_of(row.id), row.bundle, row.target, row.command, row.who) for row in rows]
