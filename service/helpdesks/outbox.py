"""The statements on `deliveries`, `outbox`, `writes` and `marks`: functions on a connection, for any transaction.

The rows of a ticket are worked off in the order of their ids: a row is due when no earlier one of its ticket is open.
Of several processes each claims rows of its own (SKIP LOCKED); a claim ends by itself after LEASE_MS, so that another
process goes on where one was killed.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update
from ulid import ULID

from models.fields import DEPARTMENT
from models.mail.headers import addresses
from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from models.ticket import Ticket
from service.helpdesks.types import Event, Written
from service.records.database.schema import decisions, deliveries, marks, outbox, writes
from service.records.retention import forgotten_tickets
from service.records.store import Further

TICKET, EVENT = "ticket", "event"
WORDS = "words"
"""Key of the payload: words of the ticket, which go when it is written."""
WAITING, RUNNING, DONE, DEAD = "waiting", "running", "done", "dead"
LEASE_MS = 120_000
HOUR_MS = 3_600_000


def delivery_row(connection: str, delivery: str, ticket: str | None, state: str, reason: str, now_ms: int) -> Further:
    row = {
        "id": str(ULID()),
        "connection": connection,
        "delivery": delivery,
        "ticket": ticket,
        "state": state,
        "reason": reason,
        "at": now_ms,
    }
    return deliveries, row


def outbox_row(connection: str, kind: str, ticket: str, decision_id: str, payload: str, now_ms: int) -> Further:
    row = {
        "id": str(ULID()),
        "connection": connection,
        "kind": kind,
        "ticket": ticket,
        "decision_id": decision_id,
        "payload": payload,
        "not_before": now_ms,
        "attempts": 0,
        "state": WAITING,
        "at": now_ms,
    }
    return outbox, row


def payload_of(event: Event, verdict: Verdict, attributes: Collection[str | None], words: Sequence[str] = ()) -> str:
    """What the outbox keeps of a ticket and its verdict: of its text at most the words for a note, and of the sender
    the domain, which switches of automation go by. `attributes`: those that may be written."""
    domains = [address.rpartition("@")[2] for address in addresses(event.sender)[:1]]
    answers = {DEPARTMENT: verdict.department, **verdict.fields}
    # A person's word is theirs to write.
    answers = {name: answer for name, answer in answers.items() if answer.reason is not Reason.CORRECTED}
    content = {
        "ticket": event.ticket,
        WORDS: list(words),
        "sender_domain": domains[0] if domains else None,
        "recipients": list(event.recipients[:20]),
        "initial": {name: value for name, value in event.values.items() if name in attributes},
        "fields": {
            name: {
                "outcome": answer.outcome.value,
                "reason": answer.reason.value,
                "label": answer.predicted,
                "confidence": answer.confidence,
            }
            for name, answer in answers.items()
        },
    }
    return json.dumps(content)


def payload_of_person(ticket: str, values: Mapping[str, str], first: Mapping[str, Any] | None) -> str:
    """What a person has decided here, which is to be written as it is. `ticket`: the helpdesk's id. `first`: the
    payload of the router's own decision, if it had one."""
    answer = {"outcome": Outcome.ROUTE.value, "reason": Reason.CORRECTED.value, "confidence": 1.0}
    content = {
        "ticket": ticket,
        "sender_domain": None,
        "recipients": [],
        "initial": {} if first is None else first["initial"],
        "fields": {name: {**answer, "label": value} for name, value in values.items()},
        "by_person": True,
    }
    return json.dumps(content)


def restored(payload: str) -> tuple[dict[str, Any], Ticket, Verdict]:
    """The payload, and ticket and verdict as far as switches of automation read them."""
    content = json.loads(payload)
    domain = content["sender_domain"]
    ticket = Ticket(sender="" if domain is None else f"sender@{domain}", recipients=tuple(content["recipients"]))
    answers = {
        name: FieldVerdict(
            Outcome(field["outcome"]),
            Reason(field["reason"]),
            () if field["label"] is None else (Candidate(field["label"], field["confidence"]),),
        )
        for name, field in content["fields"].items()
    }
    return content, ticket, Verdict(answers.pop(DEPARTMENT), answers)


def seen(database: Connection, connection: str, keys: Collection[str]) -> set[str]:
    """Those of the delivery keys that are on record."""
    rows = select(deliveries.c.delivery).where(deliveries.c.connection == connection, deliveries.c.delivery.in_(keys))
    return set(database.execute(rows).scalars())


def decided(
    database: Connection, caller: str, tickets: Collection[str]
) -> tuple[dict[str, dict[str, str]], dict[str, dict[str, Any]]]:
    """By ticket that this connection has a decision about, what we wrote to it; and for those that something was to be
    written to, what was kept of them first."""
    rows = select(decisions.c.ticket_id).where(decisions.c.ticket_id.in_(tickets), decisions.c.caller == caller)
    written = {ticket: written_values(database, ticket) for ticket in database.execute(rows).scalars() if ticket}
    if not written:
        return {}, {}
    kept = select(outbox.c.ticket, outbox.c.payload).where(outbox.c.ticket.in_(written), outbox.c.kind == TICKET)
    found = database.execute(kept.order_by(outbox.c.id.desc()))
    return written, {ticket: json.loads(payload) for ticket, payload in found}


def forgotten_of(database: Connection, tickets: Collection[str]) -> set[str]:
    return set(forgotten_tickets(database, tickets))


def written_values(database: Connection, ticket: str) -> dict[str, str]:
    """By attribute, what we wrote last."""
    rows = database.execute(select(writes).where(writes.c.ticket == ticket).order_by(writes.c.id))
    return {row.field: row.value for row in rows}


def flips(database: Connection, ticket: str, now_ms: int) -> dict[str, int]:
    """By attribute, how often we wrote it within the last hour."""
    recent = (writes.c.ticket == ticket, writes.c.at > now_ms - HOUR_MS)
    return {
        row[0]: row[1]
        for row in database.execute(select(writes.c.field, func.count()).where(*recent).group_by(writes.c.field))
    }


def has_due(database: Connection, connection: str, kind: str, now_ms: int) -> bool:
    return database.execute(select(outbox.c.id).where(*_due(connection, kind, now_ms)).limit(1)).first() is not None


def claim(
    database: Connection,
    connection: str,
    kind: str,
    now_ms: int,
    limit: int,
    choose: Callable[[Sequence[Any]], Sequence[Any]] = list,
) -> list[Any]:
    """Rows to work on, for LEASE_MS: those that `choose` takes of the first that are due."""
    due = database.execute(
        select(outbox)
        .where(*_due(connection, kind, now_ms))
        .order_by(outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    rows = choose(due)
    ids = [row.id for row in rows]
    if ids:
        values = {"state": RUNNING, "not_before": now_ms + LEASE_MS}
        database.execute(update(outbox).where(outbox.c.id.in_(ids)).values(values))
    return list(rows)


def release_all(database: Connection) -> None:
    """End all claims: at the start of the only process."""
    database.execute(update(outbox).where(outbox.c.state == RUNNING).values(state=WAITING, not_before=0))


def finish(database: Connection, row: Any, result: str, written: Sequence[Written], now_ms: int) -> None:
    """End a row, with what was written, in the caller's transaction."""
    done = {"state": DONE, "result": result, "attempts": row.attempts + 1, "last_error": None}
    content = json.loads(row.payload)
    if content.pop(WORDS, None):
        done["payload"] = json.dumps(content)
    database.execute(update(outbox).where(outbox.c.id == row.id).values(done))
    if written:
        values = [
            {"id": str(ULID()), "connection": row.connection, "ticket": row.ticket, "at": now_ms, **each._asdict()}
            for each in written
        ]
        database.execute(insert(writes), values)


def postpone(database: Connection, row: Any, error: str, not_before: int, *, counts: bool) -> None:
    """`counts`: it was an attempt; waiting for a rate limit is none."""
    values = {"state": WAITING, "not_before": not_before, "attempts": row.attempts + counts, "last_error": error[:200]}
    database.execute(update(outbox).where(outbox.c.id == row.id).values(values))


def bury(database: Connection, row: Any, error: str) -> None:
    values = {"state": DEAD, "attempts": row.attempts + 1, "last_error": error[:200]}
    database.execute(update(outbox).where(outbox.c.id == row.id).values(values))


def dead(database: Connection, connection: str | None = None) -> list[Any]:
    """Oldest first."""
    conditions = [outbox.c.state == DEAD, *([outbox.c.connection == connection] if connection else [])]
    return list(database.execute(select(outbox).where(*conditions).order_by(outbox.c.id)))


def send_again(database: Connection, ids: Collection[str], now_ms: int) -> None:
    """Give dead rows a new life, as if they were new."""
    values = {"state": WAITING, "not_before": now_ms, "attempts": 0, "at": now_ms}
    database.execute(update(outbox).where(outbox.c.id.in_(ids), outbox.c.state == DEAD).values(values))


def result_of(database: Connection, decision_id: str) -> str | None:
    """What became of the write of this decision."""
    row = select(outbox.c.result).where(outbox.c.decision_id == decision_id, outbox.c.kind == TICKET)
    return database.execute(row).scalar()


class Depth(NamedTuple):
    """Of one connection. `oldest_ms`: when the oldest open row was put in."""

    open: int
    dead: int
    oldest_ms: int | None


def depths(database: Connection) -> dict[str, Depth]:
    is_open = outbox.c.state.in_((WAITING, RUNNING))
    rows = database.execute(
        select(
            outbox.c.connection,
            func.count().filter(is_open),
            func.count().filter(outbox.c.state == DEAD),
            func.min(outbox.c.at).filter(is_open),
        )
        .where(or_(is_open, outbox.c.state == DEAD))
        .group_by(outbox.c.connection)
    )
    return {row[0]: Depth(row[1], row[2], row[3]) for row in rows}


def mark_of(database: Connection, connection: str) -> int | None:
    """Up to when its tickets were listed."""
    return database.execute(select(marks.c.at).where(marks.c.connection == connection)).scalar()


def set_mark(database: Connection, connection: str, at_ms: int) -> None:
    database.execute(delete(marks).where(marks.c.connection == connection))
    database.execute(insert(marks), [{"connection": connection, "at": at_ms}])


def _due(connection: str, kind: str, now_ms: int) -> tuple[ColumnElement[bool], ...]:
    earlier = outbox.alias("earlier")
    is_open = (WAITING, RUNNING)
    blocked = (
        select(earlier.c.id)
        .where(earlier.c.ticket == outbox.c.ticket, earlier.c.id < outbox.c.id, earlier.c.state.in_(is_open))
        .exists()
    )
    return (
        outbox.c.state.in_(is_open),
        outbox.c.not_before <= now_ms,
        outbox.c.connection == connection,
        outbox.c.kind == kind,
        ~blocked,
    )
