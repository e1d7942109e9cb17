"""What people chose at the helpdesk becomes feedback about our decision: the same rows as from `POST /v1/feedback`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from models.label_source import LabelSource
from models.scoring import Outcome
from service.helpdesks.connections import Mode
from service.helpdesks.link import Link
from service.helpdesks.manners import chosen
from service.helpdesks.metrics import HelpdeskMetrics
from service.records.database.schema import milliseconds_now
from service.records.feedback import Feedback, Received, store
from service.records.records import Records

Labels = Callable[[], Mapping[str, frozenset[str]]]
"""By field, those of the bundle being served, whose successor learns from the feedback."""


class Choice(NamedTuple):
    """`feedback`: at most one. `unmapped`: the number of values that stand for no label."""

    feedback: tuple[Feedback, ...] = ()
    unmapped: int = 0


def choice_of(
    link: Link,
    ticket: str,
    current: Mapping[str, str | None],
    state: str | None,
    changed_ms: int | None,
    *,
    payload: Mapping[str, Any] | None,
    written: Mapping[str, str],
    labels: Mapping[str, frozenset[str]],
) -> Choice:
    """`ticket`: its id on record. `changed_ms`: when it became as it is; None: now. `payload`: of its row in the
    outbox."""
    is_closed = state is not None and state in link.adapter.closed
    initial, fields = (payload["initial"], payload["fields"]) if payload is not None else ({}, {})
    decided = {
        field: each["label"]
        for field, each in fields.items()
        if each["outcome"] == Outcome.ROUTE and link.connection.mode_of(field, each["label"]) is Mode.ROUTE
    }
    found = chosen(current, link.rules, initial=initial, written=written, decided=decided, is_closed=is_closed)
    known = {field: label for field, label in found.items() if label is not None and label in labels.get(field, ())}
    source = LabelSource.CLOSE if is_closed else LabelSource.AGENT
    now_ms = milliseconds_now()
    at = now_ms if changed_ms is None else min(changed_ms, now_ms)
    feedback = (Feedback(None, ticket, known, source, at),) if known else ()
    return Choice(feedback, len(found) - len(known))


def store_choices(database: Connection, choices: Sequence[Choice]) -> list[Received | None]:
    """In the caller's transaction; a value that is on record is stored once."""
    found = [each for choice in choices for each in choice.feedback]
    return store(database, found) if found else []


def count(
    connection: str,
    choices: Sequence[Choice],
    stored: Sequence[Received | None],
    records: Records,
    metrics: HelpdeskMetrics,
) -> None:
    """`stored`: of `store_choices`, after its commit."""
    feedback = [each for choice in choices for each in choice.feedback]
    for each, received in zip(feedback, stored, strict=True):
        new = 0 if received is None else received.new
        records.metrics.feedback(each.source, new)
        metrics.chosen(connection, stored=new, unmapped=0)
    metrics.chosen(connection, stored=0, unmapped=sum(choice.unmapped for choice in choices))
