"""The statements for `challengers` and `shadow_verdicts`."""

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

from sqlalchemy import Connection, func, insert, select

from service.lifecycle import ChallengerRole as Role
from service.records.database.schema import challengers, decisions, id_after, shadow_verdicts

ROLES: tuple[Role, ...] = get_args(Role)


class Entry(NamedTuple):
    """What is in force for a role, by the newest row."""

    id: str
    role: Role
    bundle: str
    share: float
    who: str
    why: str


class ShadowVerdict(NamedTuple):
    """A row of `shadow_verdicts`."""

    decision_id: str
    bundle: str
    variant: str
    fields: str


def in_force(connection: Connection) -> dict[Role, Entry]:
    """By role; no entry: withdrawn, or there never was one."""
    found = {}
    for role in ROLES:
        newest = select(challengers).where(challengers.c.role == role).order_by(challengers.c.id.desc()).limit(1)
        row = connection.execute(newest).one_or_none()
        if row is not None and row.share > 0:
            found[role] = Entry(*row)
    return found


def enter(connection: Connection, role: Role, bundle: str | None, share: float, who: str, why: str) -> None:
    """Put a bundle in force in this role; a bundle has one role, so the newer one ends the other. `bundle` None, for
    share 0: what is in force."""
    current = in_force(connection)
    for other, entry in current.items():
        if other != role and entry.bundle == bundle and share > 0:
            _insert(connection, other, entry.bundle, 0.0, who, why)
    if bundle is None:
        bundle = current[role].bundle if role in current else ""
    _insert(connection, role, bundle, share, who, why)


def withdraw(connection: Connection, entry: Entry, who: str, why: str) -> None:
    """End this entry, unless a newer one of its role is in force."""
    if in_force(connection).get(entry.role) == entry:
        _insert(connection, entry.role, entry.bundle, 0.0, who, why)


def insert_verdicts(connection: Connection, verdicts: Sequence[ShadowVerdict]) -> int:
    """Insert those whose decision is on record; return their number. A decision that repeated another one, or that was
    forgotten meanwhile, is not."""
    ids = select(decisions.c.id).where(decisions.c.id.in_([each.decision_id for each in verdicts]))
    # Locked (PostgreSQL): another service that deletes a decision now waits, and then deletes its verdict too.
    there = set(connection.execute(ids.with_for_update(read=True, key_share=True, skip_locked=True)).scalars())
    stored = select(shadow_verdicts.c.decision_id).where(shadow_verdicts.c.decision_id.in_(there))
    there -= set(connection.execute(stored).scalars())
    rows = [each._asdict() for each in verdicts if each.decision_id in there]
    if rows:
        connection.execute(insert(shadow_verdicts), rows)
    return len(rows)


def _insert(connection: Connection, role: Role, bundle: str, share: float, who: str, why: str) -> None:
    """The row is then the newest of its role, also where another machine's clock is ahead."""
    last = connection.execute(select(func.max(challengers.c.id)).where(challengers.c.role == role)).scalar()
    row: dict[str, Any] = {"id": id_after(last), "role": role, "bundle": bundle, "share": share, "who": who, "why": why}
    connection.execute(insert(challengers), row)
