"""The statements on closed tickets: those of an index file, and those of the record on which people gave feedback.

The text of the record's own stands in `texts` only: it goes with its retention, and takes its closed ticket with it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from ulid import ULID

from models.fields import DEPARTMENT
from models.index_file import ClosedTicket, Vectors, pack_vector, unpack_vector
from service.records.database.schema import closed_tickets, decisions, feedback, texts
from service.records.feedback import truths
from service.records.retention import forgotten_tickets
from service.records.rows import storable

_CHANGED = ("bundle", "ticket", "department", "vector", "text", "answer")
_UPSERT = {}
for _name, _dialect in (("sqlite", sqlite), ("postgresql", postgresql)):
    _insert = _dialect.insert(closed_tickets)
    _UPSERT[_name] = _insert.on_conflict_do_update(
        index_elements=[closed_tickets.c.id], set_={name: _insert.excluded[name] for name in _CHANGED}
    )
_TEXT = func.coalesce(closed_tickets.c.text, texts.c.body)
_WITH_TEXTS = closed_tickets.outerjoin(texts, texts.c.decision_id == closed_tickets.c.id)


class Said(NamedTuple):
    """A decision on record with its kept text, and the department that people gave it."""

    decision_id: str
    ticket: str | None
    department: str
    text: str


def add_from_file(
    connection: Connection, tickets: Sequence[ClosedTicket], bundle: str, connection_name: str | None
) -> int:
    """Add tickets of an index file, or renew them; return how many. Those that are to be forgotten are left out.

    `connection_name`: of the helpdesk, which the record has before the ids of its tickets.
    """
    prefix = "" if connection_name is None else f"{connection_name}:"
    names = [None if each.id is None else storable(prefix + each.id) for each in tickets]
    forgotten = forgotten_tickets(connection, {name for name in names if name is not None})
    rows = [
        {
            "id": _row_id(ticket),
            "bundle": bundle,
            "ticket": name,
            "department": storable(ticket.department),
            "vector": ticket.vector,
            "text": storable(ticket.text),
            "answer": storable(ticket.answer) or None,
        }
        for ticket, name in zip(tickets, names, strict=True)
        if name not in forgotten
    ]
    return _upsert(connection, rows)


def add_from_record(connection: Connection, said: Sequence[Said], vectors: Vectors, bundle: str) -> int:
    """Add decisions, unless their texts were deleted meanwhile."""
    kept = select(texts.c.decision_id).where(texts.c.decision_id.in_([each.decision_id for each in said]))
    there = set(connection.execute(kept).scalars())
    rows = [
        {
            "id": each.decision_id,
            "bundle": bundle,
            "ticket": each.ticket,
            "department": each.department,
            "vector": pack_vector(vector),
            "text": None,
            "answer": None,
        }
        for each, vector in zip(said, vectors, strict=True)
        if each.decision_id in there
    ]
    return _upsert(connection, rows)


def new_feedback(connection: Connection, after: str, limit: int) -> tuple[list[Said], str | None]:
    """The decisions of the next feedback on departments, without those that are there with that department, and the
    last feedback's id; None: there is none after `after`."""
    columns = (feedback.c.id, feedback.c.decision_id, decisions.c.ticket_id, texts.c.body)
    query = (
        select(*columns, closed_tickets.c.department.label("known"))
        .join(decisions, decisions.c.id == feedback.c.decision_id)
        .join(texts, texts.c.decision_id == feedback.c.decision_id)
        .outerjoin(closed_tickets, closed_tickets.c.id == feedback.c.decision_id)
        .where(feedback.c.id > after, feedback.c.field == DEPARTMENT, texts.c.body != "")
        .order_by(feedback.c.id)
        .limit(limit)
    )
    found = connection.execute(query).all()
    if not found:
        return [], None
    rows = {row.decision_id: row for row in found}
    about: dict[str, list[Any]] = {}
    for each in connection.execute(
        select(feedback).where(feedback.c.decision_id.in_(rows), feedback.c.field == DEPARTMENT)
    ):
        about.setdefault(each.decision_id, []).append(each)
    departments = {name: truths(said)[DEPARTMENT].value for name, said in about.items()}
    said = [
        Said(name, row.ticket_id, departments[name], row.body)
        for name, row in rows.items()
        if departments[name] != row.known
    ]
    return said, found[-1].id


def of_other_bundles(connection: Connection, bundle: str, limit: int) -> list[tuple[str, str]]:
    """Ids and texts of closed tickets whose vectors are another bundle's, newest first."""
    other = or_(closed_tickets.c.bundle < bundle, closed_tickets.c.bundle > bundle)
    query = select(closed_tickets.c.id, _TEXT).select_from(_WITH_TEXTS).where(other)
    return [
        (row[0], row[1] or "") for row in connection.execute(query.order_by(closed_tickets.c.id.desc()).limit(limit))
    ]


def set_vectors(connection: Connection, ids: Sequence[str], vectors: Vectors, bundle: str) -> None:
    statement = update(closed_tickets).where(closed_tickets.c.id == bindparam("row")).values(vector=bindparam("new"))
    rows = [{"row": row, "new": pack_vector(vector)} for row, vector in zip(ids, vectors, strict=True)]
    connection.execute(statement.values(bundle=bundle), rows)


def counts(connection: Connection, bundle: str) -> tuple[int, int, str]:
    """How many have this bundle's vectors, how many another's, and the newest id of the former."""
    query = select(closed_tickets.c.bundle, func.count(), func.max(closed_tickets.c.id))
    found = {row[0]: (row[1], row[2]) for row in connection.execute(query.group_by(closed_tickets.c.bundle))}
    own, newest = found.pop(bundle, (0, ""))
    return own, sum(number for number, _ in found.values()), newest


def vectors_before(
    connection: Connection, bundle: str, width: int, before: str | None, limit: int
) -> tuple[list[str], Vectors]:
    """The newest ids below `before` with this bundle's vectors. One of another width, which a foreign index file has,
    is zero: it is like nothing."""
    query = select(closed_tickets.c.id, closed_tickets.c.vector).where(closed_tickets.c.bundle == bundle)
    if before is not None:
        query = query.where(closed_tickets.c.id < before)
    rows = connection.execute(query.order_by(closed_tickets.c.id.desc()).limit(limit)).all()
    vectors = np.zeros((len(rows), width), dtype=np.float32)
    for number, row in enumerate(rows):
        vector = unpack_vector(row.vector)
        if len(vector) == width:
            vectors[number] = vector
    return [row.id for row in rows], vectors


def closed_of(connection: Connection, ids: Sequence[str]) -> Mapping[str, Any]:
    """The rows that are still there, by id: ticket, department, text, answer."""
    columns = (closed_tickets.c.id, closed_tickets.c.ticket, closed_tickets.c.department, closed_tickets.c.answer)
    query = select(*columns, _TEXT.label("shown")).select_from(_WITH_TEXTS).where(closed_tickets.c.id.in_(ids))
    return {row.id: row for row in connection.execute(query)}


def ticket_of(connection: Connection, decision_id: str) -> tuple[str | None, str | None, bool] | None:
    """The ticket's id and its kept text of a decision, and whether it is of the random share; None: no such
    decision."""
    query = select(decisions.c.ticket_id, decisions.c.holdout, texts.c.subject, texts.c.body)
    joined = decisions.outerjoin(texts, texts.c.decision_id == decisions.c.id)
    row = connection.execute(query.select_from(joined).where(decisions.c.id == decision_id)).one_or_none()
    if row is None:
        return None
    text = None if row.body is None else "\n".join(filter(None, (row.subject, row.body)))
    return row.ticket_id, text, row.holdout


def remove_from_files(connection: Connection, limit: int) -> int:
    """Delete a portion of the tickets of index files; return its size."""
    ids = list(
        connection.execute(select(closed_tickets.c.id).where(closed_tickets.c.text.is_not(None)).limit(limit)).scalars()
    )
    connection.execute(delete(closed_tickets).where(closed_tickets.c.id.in_(ids)))
    return len(ids)


def _upsert(connection: Connection, rows: Sequence[dict[str, Any]]) -> int:
    # One statement must not name a row twice.
    rows = list({row["id"]: row for row in rows}.values())
    if rows:
        connection.execute(_UPSERT[connection.dialect.name], rows)
    return len(rows)


def _row_id(ticket: ClosedTicket) -> str:
    """The same whenever the ticket is added: its arrival, which retention goes by, and a digest."""
    name = f"text {ticket.text}" if ticket.id is None else f"id {ticket.id}"
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=10).digest()
    return str(ULID.from_bytes(ticket.at.to_bytes(6) + digest))
