"""Reads decisions for the API and the export, each with its feedback."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select

from service.records.database.schema import decisions, feedback, first_id, shadow_verdicts, texts
from service.records.rows import fields_of, record_of

PAGE = 100
PORTION = 500
"""Rows read at once by the export."""


def decision(connection: Connection, decision_id: str) -> dict[str, Any] | None:
    row = connection.execute(select(decisions).where(decisions.c.id == decision_id)).one_or_none()
    return None if row is None else with_feedback(connection, [row])[0]


def page(
    connection: Connection,
    *,
    outcome: str | None = None,
    ticket_id: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    before: str | None = None,
    limit: int = PAGE,
) -> list[dict[str, Any]]:
    """The newest decisions first. `before`: the id that the previous page ended with."""
    query = select(decisions).order_by(decisions.c.id.desc()).limit(limit)
    if outcome is not None:
        query = query.where(decisions.c.outcome == outcome)
    if ticket_id is not None:
        query = query.where(decisions.c.ticket_id == ticket_id)
    if since_ms is not None:
        query = query.where(decisions.c.id >= first_id(since_ms))
    if until_ms is not None:
        query = query.where(decisions.c.id < first_id(until_ms))
    if before is not None:
        query = query.where(decisions.c.id < before)
    return with_feedback(connection, connection.execute(query).all())


def all_decisions(connection: Connection, since_ms: int = 0) -> Iterator[dict[str, Any]]:
    """Oldest first, with the texts that are kept and the shadow's verdicts."""
    last = first_id(since_ms)
    query = select(decisions).order_by(decisions.c.id).limit(PORTION)
    condition = decisions.c.id >= last
    while rows := connection.execute(query.where(condition)).all():
        ids = [row.id for row in rows]
        kept, shadows = (
            {row.decision_id: row for row in connection.execute(select(table).where(table.c.decision_id.in_(ids)))}
            for table in (texts, shadow_verdicts)
        )
        for record in with_feedback(connection, rows):
            text, shadow = kept.get(record["decision_id"]), shadows.get(record["decision_id"])
            yield {
                **record,
                "text": None if text is None else {"subject": text.subject, "body": text.body},
                "shadow": None
                if shadow is None
                else {"bundle": shadow.bundle, "variant": shadow.variant, "fields": fields_of(shadow)},
            }
        condition = decisions.c.id > rows[-1].id


def with_feedback(connection: Connection, rows: Sequence[Any]) -> list[dict[str, Any]]:
    ids = [row.id for row in rows]
    said: dict[str, list[Any]] = {}
    for each in connection.execute(select(feedback).where(feedback.c.decision_id.in_(ids)).order_by(feedback.c.id)):
        said.setdefault(each.decision_id, []).append(each)
    return [record_of(row, said.get(row.id, ())) for row in rows]
