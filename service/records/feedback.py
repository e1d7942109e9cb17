"""What people say about decisions: stored as a history, and read as one value a field.

Feedback is about a decision. Feedback about a ticket is about its newest decision, whose id is stored with it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, or_, select
from ulid import ULID

from models.label_source import LabelSource
from models.scoring import Outcome
from service.records.database.schema import decisions, feedback

_AT_CLOSE = (LabelSource.CLOSE, LabelSource.IMPORT)


@dataclass(frozen=True, slots=True)
class Feedback:
    """The right values of a decision's fields. One of `decision_id` and `ticket_id` is set. `at`: Unix milliseconds."""

    decision_id: str | None
    ticket_id: str | None
    values: Mapping[str, str]
    source: LabelSource
    at: int


class Received(NamedTuple):
    """The decision that the feedback is about. `new`: the number of stored values; the others were on record."""

    decision_id: str
    ticket_id: str | None
    new: int


def store(connection: Connection, items: Sequence[Feedback]) -> list[Received | None]:
    """Store what is new, and return a result for each item. None: no such decision, or none of that ticket.

    A value is new if the newest one of its source differs, and it was not stored with the same time before: a repeated
    request adds nothing.
    """
    found = _decisions_of(connection, items)
    newest: dict[tuple[str, str, str], tuple[int, str]] = {}
    known: set[tuple[str, str, str, int, str]] = set()
    earlier = select(feedback).where(feedback.c.decision_id.in_({each.id for each in found if each is not None}))
    for row in connection.execute(earlier.order_by(feedback.c.at, feedback.c.id)):
        newest[row.decision_id, row.field, row.source] = (row.at, row.value)
        known.add((row.decision_id, row.field, row.source, row.at, row.value))
    rows: list[dict[str, Any]] = []
    results: list[Received | None] = []
    for item, decision in zip(items, found, strict=True):
        if decision is None:
            results.append(None)
            continue
        before = len(rows)
        for field, value in item.values.items():
            key = (decision.id, field, item.source.value)
            last = newest.get(key)
            if (last is not None and last[1] == value) or (*key, item.at, value) in known:
                continue
            if last is None or item.at >= last[0]:
                newest[key] = (item.at, value)
            known.add((*key, item.at, value))
            rows.append(
                {
                    "id": str(ULID()),
                    "decision_id": decision.id,
                    "ticket_id": decision.ticket_id,
                    "field": field,
                    "value": value,
                    "source": item.source.value,
                    "who": None,
                    "at": item.at,
                    "thread": decision.thread,
                }
            )
        results.append(Received(decision.id, decision.ticket_id, len(rows) - before))
    if rows:
        _add_routes(connection, rows)
        connection.execute(insert(feedback), rows)
    return results


def are_on_record(connection: Connection, items: Sequence[Feedback]) -> list[bool]:
    """Whether there is a decision for each item."""
    return [each is not None for each in _decisions_of(connection, items, lock=False)]


def truths(rows: Iterable[Any]) -> dict[str, Any]:
    """By field, the row of `feedback` whose value counts: the newest at close, else the newest."""
    return {row.field: row for row in sorted(rows, key=_weight)}


def said_of(connection: Connection, tickets: Sequence[tuple[str | None, str | None]]) -> list[Mapping[str, Any]]:
    """For each ticket, by its id and its thread, the rows by field whose values stand for it: what people said of the
    ticket, else of others of its thread. One query."""
    ids, threads = ({each[part] for each in tickets} - {None} for part in (0, 1))
    about: list[Any] = [feedback.c.ticket_id.in_(ids)] if ids else []
    if threads:
        about.append(feedback.c.thread.in_(threads))
    rows = connection.execute(select(feedback).where(or_(*about))).all() if about else []
    if not rows:
        return [{}] * len(tickets)
    of_tickets: dict[str | None, list[Any]] = defaultdict(list)
    of_threads: dict[str | None, list[Any]] = defaultdict(list)
    for row in rows:
        of_tickets[row.ticket_id].append(row)
        of_threads[row.thread].append(row)
    nothing = of_tickets[None] = of_threads[None] = []
    return [
        truths(of_threads.get(thread, nothing)) | truths(of_tickets.get(ticket, nothing)) for ticket, thread in tickets
    ]


def label_source(source: str, holdout: bool) -> LabelSource:
    """What training has as the source of a label. Every label of the random share is one of a sample of all mail."""
    return LabelSource.AUDIT if holdout else LabelSource(source)


def _add_routes(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Add to each value at close what it says is right or wrong: the newest decision of the ticket in which the serving
    model routed the field. Of a ticket that was asked again after a correction that is not the newest of all."""
    nothing = {"routed_by": None, "routed_to": None}
    for row in rows:
        row.update(nothing)
    closed = [row for row in rows if row["source"] in _AT_CLOSE]
    tickets = {row["ticket_id"] for row in closed} - {None}
    ids = {row["decision_id"] for row in closed if row["ticket_id"] is None}
    columns = select(decisions.c.id, decisions.c.ticket_id, decisions.c.fields).order_by(decisions.c.id)
    models = (~decisions.c.holdout, decisions.c.role.is_(None))
    routes: dict[tuple[str, str], dict[str, str]] = {}
    for column, wanted in ((decisions.c.ticket_id, tickets), (decisions.c.id, ids)):
        for decision in connection.execute(columns.where(column.in_(wanted), *models)) if wanted else ():
            for field, judged in json.loads(decision.fields).items():
                if judged["outcome"] == Outcome.ROUTE and not judged.get("corrected"):
                    routes[decision.ticket_id or decision.id, field] = {
                        "routed_by": decision.id,
                        "routed_to": judged["value"],
                    }
    for row in closed:
        row.update(routes.get((row["ticket_id"] or row["decision_id"], row["field"]), nothing))


def _weight(row: Any) -> tuple[bool, int, str]:
    return row.source == LabelSource.CLOSE, row.at, row.id


def _decisions_of(connection: Connection, items: Sequence[Feedback], *, lock: bool = True) -> list[Any]:
    """For each item the id, the ticket id and the thread of its decision, or None."""
    tickets = {item.ticket_id for item in items if item.ticket_id is not None}
    ids = {item.decision_id for item in items if item.decision_id is not None}
    newest: dict[str, str] = {}
    if tickets:
        newest_ids = select(decisions.c.ticket_id, func.max(decisions.c.id)).where(decisions.c.ticket_id.in_(tickets))
        newest = {row[0]: row[1] for row in connection.execute(newest_ids.group_by(decisions.c.ticket_id))}
    wanted = select(decisions.c.id, decisions.c.ticket_id, decisions.c.thread).where(
        decisions.c.id.in_({*ids, *newest.values()})
    )
    if lock:  # PostgreSQL, in one order: the same feedback at two services at once is stored once
        wanted = wanted.order_by(decisions.c.id).with_for_update()
    rows = {row.id: row for row in connection.execute(wanted)}
    return [rows.get(item.decision_id if item.ticket_id is None else newest.get(item.ticket_id)) for item in items]
