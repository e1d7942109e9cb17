"""The statements that write decisions: each commit is one INSERT of all that is queued, whatever the number.

The unique constraint on (caller, idempotency key) decides which of two equal requests came first, in all processes; no
ticket pays for a question before its insert. The one that came second gets the stored row.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from service.records.schema import decisions, texts

_INSERT = {
    name: dialect.insert(decisions).on_conflict_do_nothing().returning(decisions.c.id)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
_INSERT_TEXTS = {
    name: dialect.insert(texts).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
_STORED = select(
    decisions.c.id,
    decisions.c.caller,
    decisions.c.idempotency_key,
    decisions.c.created_at,
    decisions.c.request_digest,
    decisions.c.outcome,
    decisions.c.response,
)
_KEY = tuple_(decisions.c.caller, decisions.c.idempotency_key)


class Stored(NamedTuple):
    """A decision on record. `repeated`: of an earlier request, which this one repeats."""

    id: str
    request_digest: str
    outcome: str
    response: str
    repeated: bool


class NewDecision(NamedTuple):
    """A row of `decisions` by its columns. `text`: subject and body, if they are kept. `earlier`: the key of the
    previous window, and the time from which a row with that key is a repetition (`identity.py`)."""

    row: dict[str, Any]
    text: tuple[str, str] | None = None
    earlier: tuple[str, int] | None = None


def insert_all(connection: Connection, new: Sequence[NewDecision]) -> list[Stored | None]:
    """Insert the decisions that repeat no earlier one; for each, the row that is on record now.

    None: another process deleted that row at this moment.
    """
    earlier = _earlier_rows(connection, new)
    rows = [each.row for each in new if each.row["id"] not in earlier]
    inserted: set[str] = set()
    if rows:
        inserted = set(connection.execute(_INSERT[connection.dialect.name], rows).scalars())
        kept = [
            {"decision_id": each.row["id"], "subject": each.text[0], "body": each.text[1]}
            for each in new
            if each.text is not None and each.row["id"] in inserted
        ]
        if kept:
            connection.execute(_INSERT_TEXTS[connection.dialect.name], kept)
    if len(inserted) == len(new):
        return [stored_of(each.row) for each in new]
    conflicts = _conflicting_rows(connection, [row for row in rows if row["id"] not in inserted])
    return [
        stored_of(each.row)
        if each.row["id"] in inserted
        else earlier.get(each.row["id"]) or conflicts.get(each.row["id"])
        for each in new
    ]


def insert_spooled(connection: Connection, spooled: Sequence[NewDecision]) -> int:
    """Insert decisions that were acknowledged while the database was away; return how many have the key of a decision
    of another process. Those are stored without their key: each was acknowledged, so none may be dropped."""
    stored = insert_all(connection, spooled)
    second = [
        new._replace(row={**new.row, "idempotency_key": None})
        for new, each in zip(spooled, stored, strict=True)
        if each is None or each.id != new.row["id"]
    ]
    if second:
        insert_all(connection, second)
    return len(second)


def stored_of(row: dict[str, Any], *, repeated: bool = False) -> Stored:
    return Stored(row["id"], row["request_digest"], row["outcome"], row["response"], repeated)


def _earlier_rows(connection: Connection, new: Sequence[NewDecision]) -> dict[str, Stored]:
    """By the id of the new decision."""
    keys = {(each.row["caller"], each.earlier[0]) for each in new if each.earlier is not None}
    if not keys:
        return {}
    found = _by_key(connection.execute(_STORED.where(_KEY.in_(keys))))
    earlier = {}
    for each in new:
        if each.earlier is not None:
            key, since = each.earlier
            row = found.get((each.row["caller"], key))
            if row is not None and row.created_at >= since:
                earlier[each.row["id"]] = _stored(row, each.row["id"])
    return earlier


def _conflicting_rows(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[str, Stored]:
    """By the id of the new decision, the row with its key; or its own row, of an attempt that seemed to have failed."""
    if not rows:
        return {}
    keys = [(row["caller"], row["idempotency_key"]) for row in rows if row["idempotency_key"] is not None]
    ids = decisions.c.id.in_([row["id"] for row in rows])
    found = connection.execute(_STORED.where(or_(ids, _KEY.in_(keys)) if keys else ids)).all()
    by_key, by_id = _by_key(found), {row.id: row for row in found}
    conflicts = {}
    for row in rows:
        match = by_id.get(row["id"]) or by_key.get((row["caller"], row["idempotency_key"]))
        if match is not None:
            conflicts[row["id"]] = _stored(match, row["id"])
    return conflicts


def _by_key(rows: Iterable[Any]) -> dict[tuple[str, str | None], Any]:
    return {(row.caller, row.idempotency_key): row for row in rows}


def _stored(row: Any, new_id: str) -> Stored:
    return Stored(row.id, row.request_digest, row.outcome, row.response, row.id != new_id)
