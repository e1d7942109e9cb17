"""The history of the switches, and the dead rows of the outbox: functions on a connection."""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from service.automation.switches import Mode, Switch
from service.helpdesks.outbox import DEAD
from service.records.database.schema import automation, outbox

SHOWN = 100


class Dead(NamedTuple):
    """What could not be written. `last_error`: without content of the helpdesk's answer."""

    id: str
    connection: str
    kind: str
    ticket: str
    decision_id: str
    attempts: int
    last_error: str | None
    at: int


def history(connection: Connection) -> list[Switch]:
    """The newest first."""
    rows = connection.execute(select(automation).order_by(automation.c.id.desc()).limit(SHOWN))
    return [Switch(row.id, row.field, json.loads(row.selector), Mode(row.mode), row.who, row.why) for row in rows]


def dead(connection: Connection) -> tuple[int, list[Dead]]:
    """How many there are, and the oldest."""
    total = connection.execute(select(func.count()).select_from(outbox).where(outbox.c.state == DEAD)).scalar()
    columns: list[Any] = [outbox.c[name] for name in Dead._fields]
    rows = connection.execute(select(*columns).where(outbox.c.state == DEAD).order_by(outbox.c.id).limit(SHOWN))
    return total or 0, [Dead(*row) for row in rows]


def dead_ids(connection: Connection, wanted: Collection[str]) -> list[tuple[str, str]]:
    """Those of the rows that are dead, each with its connection; of no ids, all."""
    conditions = [outbox.c.state == DEAD, *([outbox.c.id.in_(wanted)] if wanted else [])]
    return [(row[0], row[1]) for row in connection.execute(select(outbox.c.id, outbox.c.connection).where(*conditions))]
