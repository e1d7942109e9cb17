"""What a person decides: pending for a while, so that it can be undone, then feedback and a write to the helpdesk."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from ulid import ULID

from models.fields import DEPARTMENT
from models.label_source import LabelSource
from service.desk.review import queue
from service.helpdesks import outbox
from service.helpdesks.connections import Mode
from service.helpdesks.link import Link
from service.helpdesks.manners import HandsOff
from service.records import feedback
from service.records.database.schema import decisions, milliseconds_now, reviews
from service.records.database.schema import feedback as said
from service.records.database.schema import outbox as outbox_rows
from service.records.feedback import Feedback

PENDING, WRITING, SENT, REFUSED, SEEN, UNDONE = "pending", "writing", "sent", "refused", "seen", queue.UNDONE
UNDO_MS = 30_000
PORTION = 50
NO_TARGET = "the file of the connection has no target for this label"
GONE = "the ticket was deleted"
_REFUSALS = {
    HandsOff.PERSON: "a person has set another value there",
    HandsOff.MODE: "the connection writes nothing, by its mode",
    HandsOff.TOO_OLD: "the ticket is too old",
    HandsOff.STATE: "the ticket is closed there, or in another state that is not written",
    HandsOff.FLIPS: "another program changes what we write",
    HandsOff.GONE: GONE,
    HandsOff.CONFLICT: "the ticket changes there again and again",
}
_INSERT = {
    "sqlite": sqlite.insert(reviews).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(reviews).on_conflict_do_nothing(),
}
_log = structlog.get_logger()


class Decided(NamedTuple):
    """That a person has decided a ticket. `who`: None: by feedback, from elsewhere."""

    who: str | None
    at: int
    department: str
    state: str
    review: str | None
    error: str | None


def decided(connection: Connection, decision_id: str) -> Decided | None:
    """What people have decided about it; None: nothing yet."""
    row = connection.execute(
        select(reviews).where(reviews.c.decision_id == decision_id, reviews.c.state != UNDONE)
    ).one_or_none()
    if row is not None:
        return Decided(row.who, row.at, json.loads(row.fields)[DEPARTMENT], row.state, row.id, row.error)
    rows = connection.execute(select(said).where(said.c.decision_id == decision_id, said.c.field == DEPARTMENT)).all()
    truth = feedback.truths(rows).get(DEPARTMENT)
    return None if truth is None else Decided(None, truth.at, truth.value, SENT, None, None)


def decide(connection: Connection, decision_id: str, values: Mapping[str, str], who: str) -> str | Decided | None:
    """Put a decision on record as pending; return its id. Or what another person has decided; None: the ticket is gone,
    or a newer decision stands for it."""
    row = connection.execute(
        select(decisions.c.id, decisions.c.ticket_id).where(decisions.c.id == decision_id)
    ).one_or_none()
    if row is None or not queue.is_newest(connection, row.id, row.ticket_id):
        return None
    before = decided(connection, decision_id)
    if before is not None:
        return before
    new = {
        "id": str(ULID()),
        "decision_id": decision_id,
        "fields": json.dumps(dict(values)),
        "who": who,
        "at": milliseconds_now(),
        "state": PENDING,
    }
    # Of two services, the one that comes second waits here, and inserts nothing.
    connection.execute(_INSERT[connection.dialect.name], new)
    now = decided(connection, decision_id)
    return str(new["id"]) if now is None or now.review == new["id"] else now


def undo(connection: Connection, review: str) -> bool:
    """Take a pending decision back; False: it was sent already."""
    done = connection.execute(
        update(reviews).where(reviews.c.id == review, reviews.c.state == PENDING).values(state=UNDONE)
    )
    return done.rowcount == 1


def undo_last(connection: Connection, who: str) -> str | None:
    """Take the person's newest pending decision back; return the decision that it was about. None: there is none."""
    pending = select(reviews.c.id, reviews.c.decision_id).where(reviews.c.who == who, reviews.c.state == PENDING)
    row = connection.execute(pending.order_by(reviews.c.id.desc()).limit(1)).one_or_none()
    return row.decision_id if row is not None and undo(connection, row.id) else None


def mark_seen(connection: Connection, review: str) -> None:
    connection.execute(update(reviews).where(reviews.c.id == review, reviews.c.state == REFUSED).values(state=SEEN))


def refused(connection: Connection) -> list[Any]:
    """Decisions that the helpdesk did not take, the newest first."""
    rows = select(reviews, decisions.c.ticket_id).join(decisions, decisions.c.id == reviews.c.decision_id)
    return list(connection.execute(rows.where(reviews.c.state == REFUSED).order_by(reviews.c.id.desc()).limit(20)))


def has_work(connection: Connection, until_ms: int) -> bool:
    """Whether a decision is to be sent, or the helpdesk may have answered."""
    due = select(reviews.c.id).where(
        ((reviews.c.state == PENDING) & (reviews.c.at <= until_ms)) | (reviews.c.state == WRITING)
    )
    return connection.execute(due.limit(1)).first() is not None


class Sent(NamedTuple):
    """`values`: the number of values stored as feedback; `links`: the connections with something to write."""

    values: int
    links: list[Link]


def send(connection: Connection, links: Mapping[str, Link], until_ms: int) -> Sent:
    """Make feedback, and rows of the outbox, of pending decisions that are old enough, in the caller's transaction."""
    due = (
        select(reviews)
        .where(reviews.c.state == PENDING, reviews.c.at <= until_ms)
        .order_by(reviews.c.id)
        .limit(PORTION)
        .with_for_update(skip_locked=True)
    )
    new, wake = 0, []
    for review in connection.execute(due).all():
        values = json.loads(review.fields)
        item = Feedback(review.decision_id, None, values, LabelSource.AGENT, review.at)
        (received,) = feedback.store(connection, [item])
        changes: dict[str, Any] = {"state": SENT}
        if received is None:
            changes = {"state": REFUSED, "error": GONE}
        else:
            new += received.new
            link = _link_of(connection, review.decision_id, links, values[DEPARTMENT])
            if link is not None and link.connection.target_of(DEPARTMENT, values[DEPARTMENT]) is None:
                changes = {"state": REFUSED, "error": NO_TARGET}
            elif link is not None:
                table, row = _outbox_row(connection, link, review, received.ticket_id or "", values)
                connection.execute(insert(table), row)
                changes = {"state": WRITING, "outbox_id": row["id"]}
                wake.append(link)
        connection.execute(update(reviews).where(reviews.c.id == review.id).values(changes))
    return Sent(new, wake)


def collect(connection: Connection) -> None:
    """Note what became of the writes."""
    rows = connection.execute(
        select(reviews.c.id, outbox_rows.c.state, outbox_rows.c.result, outbox_rows.c.last_error)
        .outerjoin(outbox_rows, outbox_rows.c.id == reviews.c.outbox_id)
        .where(reviews.c.state == WRITING)
    )
    for row in rows.all():
        changes: dict[str, Any]
        if row.state == outbox.DEAD:
            changes = {"state": REFUSED, "error": row.last_error}
        elif row.state == outbox.DONE and row.result in _REFUSALS:
            changes = {"state": REFUSED, "error": _REFUSALS[row.result]}
        elif row.state == outbox.DONE:
            changes = {"state": SENT}
        elif row.state is None:
            changes = {"state": REFUSED, "error": GONE}
        else:
            continue
        connection.execute(update(reviews).where(reviews.c.id == row.id).values(changes))
        if changes["state"] == REFUSED:
            _log.warning("decision of the desk not written to the helpdesk", review=row.id, cause=changes["error"])


def _link_of(connection: Connection, decision_id: str, links: Mapping[str, Link], department: str) -> Link | None:
    """The connection that the ticket came by, if this department is to be written there."""
    caller = connection.execute(select(decisions.c.caller).where(decisions.c.id == decision_id)).scalar() or ""
    link = links.get(caller.removeprefix("connection:")) if caller.startswith("connection:") else None
    if link is None or link.connection.token is None:
        return None
    return None if link.connection.mode_of(DEPARTMENT, department) in (Mode.OFF, Mode.SHADOW) else link


def _outbox_row(
    connection: Connection, link: Link, review: Any, ticket: str, values: Mapping[str, str]
) -> tuple[Table, dict[str, Any]]:
    # What the ticket was when it arrived tells a person's value there from one that every new ticket has.
    first = connection.execute(
        select(outbox_rows.c.payload)
        .where(outbox_rows.c.decision_id == review.decision_id, outbox_rows.c.kind == outbox.TICKET)
        .order_by(outbox_rows.c.id)
        .limit(1)
    ).scalar()
    payload = outbox.payload_of_person(link.raw_ticket(ticket), values, None if first is None else json.loads(first))
    return outbox.outbox_row(link.name, outbox.TICKET, ticket, review.decision_id, payload, milliseconds_now())
