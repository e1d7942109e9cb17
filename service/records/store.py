"""The statements that write decisions: each commit is one INSERT of all that is queued, whatever the number.

The unique constraint on (caller, idempotency key) decides which of two equal requests came first, in all processes; no
ticket pays for a question before its insert. The one that came second gets the stored row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from service.decision import Decision
from service.records.database.schema import decisions, texts
from service.records.feedback import said_of
from service.records.retention import forgotten_tickets

# SQLite counts what an executemany inserts; PostgreSQL does for one statement of many rows only by RETURNING.
_INSERT = {
    "sqlite": sqlite.insert(decisions).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(decisions).on_conflict_do_nothing().returning(decisions.c.id),
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
_NULLS = dict.fromkeys(column.name for column in decisions.c if column.nullable)
_KEY = tuple_(decisions.c.caller, decisions.c.idempotency_key)

Further = tuple[Table, dict[str, Any]]


class Stored(NamedTuple):
    """A decision on record. `repeated`: of an earlier request, which this one repeats; else `decision` is what is given
    now."""

    id: str
    request_digest: str
    outcome: str
    response: str
    repeated: bool
    decision: Decision | None = None


class KeptText(NamedTuple):
    """A row of `texts`: the subject and body that the model read, and the text before it was cut, if it was."""

    subject: str
    body: str
    original: str | None = None


class NewDecision(NamedTuple):
    """A row of `decisions` by its columns. `text`: if it is kept. `earlier`: the key of the
    previous window, and the time from which a row with that key is a repetition (`identity.py`). `correct`: gives the
    row with what people have said, by field the row of `feedback`; None: nothing can be on record about the ticket, or
    the decision has been given already. `further`: rows of
    other tables, inserted with a decision that repeats no earlier one."""

    row: dict[str, Any]
    text: KeptText | None = None
    earlier: tuple[str, int] | None = None
    decision: Decision | None = None
    correct: "Callable[[Mapping[str, Any]], NewDecision] | None" = None
    further: tuple["Further", ...] = ()


def insert_all(connection: Connection, new: Sequence[NewDecision]) -> list[Stored | None]:
    """Insert the decisions that repeat no earlier one; for each, the row that is on record now.

    What people have said of a ticket is read here, so that no correction comes between an answer and its commit.
    None: another process deleted that row at this moment.
    """
    new = _corrected(connection, new)
    earlier = _earlier_rows(connection, new)
    rows = [each.row for each in new if each.row["id"] not in earlier]
    result = {each["id"]: stored_of(each) for each in rows}
    if rows:
        name = connection.dialect.name
        inserted = connection.execute(_INSERT[name], rows)
        count = inserted.rowcount if name == "sqlite" else len(inserted.all())
        if count < len(rows):
            result = _rows_on_record(connection, rows)
        kept = [
            {"decision_id": each.row["id"], **each.text._asdict()}
            for each in new
            if each.text is not None and _is_new(each, result)
        ]
        if kept:
            connection.execute(_INSERT_TEXTS[name], kept)
        insert_further(connection, [row for each in new if _is_new(each, result) for row in each.further])
    result |= earlier
    on_record = [result.get(each.row["id"]) for each in new]
    return [
        row if row is None or row.repeated else row._replace(decision=each.decision)
        for each, row in zip(new, on_record, strict=True)
    ]


def insert_further(connection: Connection, rows: Sequence[Further]) -> None:
    """Insert rows into their tables; one that breaks a unique constraint is there already."""
    by_table: dict[Table, list[dict[str, Any]]] = {}
    for table, row in rows:
        by_table.setdefault(table, []).append(row)
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    for table, values in by_table.items():
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), values)


def insert_spooled(connection: Connection, spooled: Sequence[NewDecision]) -> int:
    """Insert decisions that were acknowledged while the database was away; return how many have the key of a decision
    of another process. Those are stored without their key: each was acknowledged, so none may be dropped, except those
    of tickets that were forgotten meanwhile."""
    tickets = forgotten_tickets(connection, {new.row["ticket_id"] for new in spooled} - {None})
    # An earlier version's rows lack the columns that were added since.
    spooled = [
        new._replace(row=_NULLS | new.row)
        for new in spooled
        if tickets.get(new.row["ticket_id"], -1) < new.row["created_at"]
    ]
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


def _is_new(new: NewDecision, result: dict[str, Stored]) -> bool:
    stored = result.get(new.row["id"])
    return stored is not None and not stored.repeated


def _corrected(connection: Connection, new: Sequence[NewDecision]) -> Sequence[NewDecision]:
    tickets = [(each.row["ticket_id"], each.row["thread"]) for each in new if each.correct is not None]
    if not tickets:
        return new
    said = iter(said_of(connection, tickets))
    corrected = []
    for each in new:
        values = {} if each.correct is None else next(said)
        corrected.append(each.correct(values) if each.correct is not None and values else each)
    return corrected


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


def _rows_on_record(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[str, Stored]:
    """By the id of each row, what is on record: the row itself, or an earlier one with its key."""
    keys = [(row["caller"], row["idempotency_key"]) for row in rows if row["idempotency_key"] is not None]
    ids = decisions.c.id.in_([row["id"] for row in rows])
    found = connection.execute(_STORED.where(or_(ids, _KEY.in_(keys)) if keys else ids)).all()
    by_key, by_id = _by_key(found), {row.id: row for row in found}
    matches = {row["id"]: by_id.get(row["id"]) or by_key.get((row["caller"], row["idempotency_key"])) for row in rows}
    return {new_id: _stored(match, new_id) for new_id, match in matches.items() if match is not None}


def _by_key(rows: Iterable[Any]) -> dict[tuple[str, str | None], Any]:
    return {(row.caller, row.idempotency_key): row for row in rows if row.idempotency_key is not None}


def _stored(row: Any, new_id: str) -> Stored:
    return Stored(row.id, row.request_digest, row.outcome, row.response, row.id != new_id)
