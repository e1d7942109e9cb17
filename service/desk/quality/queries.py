"""Counts on the record for the pages of the quality: grouped by the database, so that 100,000 decisions take well under
a second.

A person's word (`corrected`) proves nothing about the model and is left out. Of the random share the columns say
nothing, as its tickets were left to people: `fields` has what the model said.
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from models.fields import DEPARTMENT
from models.label_source import LabelSource
from models.scoring import Reason
from service.records.database.schema import decisions, feedback, first_id

WEEK_MS = 604_800_000
MONDAY_MS = 259_200_000
"""The first day of the epoch is a Thursday."""
EDGES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Of the bins of confidence: finer where tickets are routed."""
AUDITED = 20_000
"""Most tickets of the random share that are read."""
JUDGED = 20_000
"""Most tickets with feedback that a live curve rests on."""


class Decided(NamedTuple):
    """Tickets of a week with an outcome and department; None: none was given."""

    week: int
    outcome: str
    department: str | None
    tickets: int


class Judged(NamedTuple):
    """Tickets with a department by people. `audit`: of the random share. `bin`: of the confidence, by EDGES;
    `confidence`: the sum."""

    audit: bool
    week: int
    outcome: str
    department: str | None
    truth: str
    bin: int
    tickets: int
    confidence: float


def week_of(milliseconds: int) -> int:
    return (milliseconds + MONDAY_MS) // WEEK_MS


def first_moment(week: int) -> int:
    """Its Monday, 0:00 UTC, in Unix milliseconds."""
    return week * WEEK_MS - MONDAY_MS


def decided(connection: Connection, since_ms: int) -> list[Decided]:
    """The model's decisions without the random share."""
    week = _week()
    rows = connection.execute(
        select(week, decisions.c.outcome, decisions.c.department, func.count())
        .where(decisions.c.id >= first_id(since_ms), *_models())
        .group_by(week, decisions.c.outcome, decisions.c.department)
    )
    return [Decided(*row) for row in rows]


def judged(connection: Connection, since_ms: int) -> list[Judged]:
    said, week, bin_ = _truths(since_ms), _week(), _bin()
    group = (week, decisions.c.outcome, decisions.c.department, said.c.value, bin_)
    rows = connection.execute(
        select(*group, func.count(), func.sum(decisions.c.confidence))
        .join_from(said, decisions, decisions.c.id == said.c.decision_id)
        .where(said.c.place == 1, *_models())
        .group_by(*group)
    )
    return [Judged(False, *row) for row in rows] + _audited(connection, since_ms)


class Answer(NamedTuple):
    """What the model said of a ticket, right or wrong, whatever its outcome."""

    confidence: float
    right: bool


def answers(connection: Connection, since_ms: int) -> list[Answer]:
    """Of the newest tickets with a department by people. A ticket that no model was asked about is left out."""
    said = _truths(since_ms)
    # Without the column `best`, of an older version, the likeliest label stands in the answer alone.
    needs_response = decisions.c.best.is_(None) & decisions.c.department.is_(None)
    rows = connection.execute(
        select(
            said.c.value,
            func.coalesce(decisions.c.best, decisions.c.department).label("label"),
            decisions.c.confidence,
            case((needs_response, decisions.c.response)).label("response"),
            case((decisions.c.holdout, decisions.c.fields)).label("fields"),
        )
        .join_from(said, decisions, decisions.c.id == said.c.decision_id)
        .where(said.c.place == 1, decisions.c.reason != Reason.CORRECTED.value)
        .order_by(decisions.c.id.desc())
        .limit(JUDGED)
    )
    found = []
    for row in rows:
        label, confidence = row.label, row.confidence
        if row.fields is not None:
            label = json.loads(row.fields)[DEPARTMENT]["value"]
        elif label is None:
            candidates = json.loads(row.response)["candidates"]
            label = candidates[0]["department"] if candidates else None
        if label is not None:
            found.append(Answer(confidence, label == row.value))
    return found


def _audited(connection: Connection, since_ms: int) -> list[Judged]:
    said = _truths(since_ms)
    rows = connection.execute(
        select(_week(), decisions.c.fields, said.c.value, _bin(), decisions.c.confidence)
        .join_from(said, decisions, decisions.c.id == said.c.decision_id)
        .where(said.c.place == 1, decisions.c.holdout, decisions.c.reason != Reason.CORRECTED.value)
        .order_by(decisions.c.id.desc())
        .limit(AUDITED)
    )
    tickets: Counter[tuple[Any, ...]] = Counter()
    confidences: Counter[tuple[Any, ...]] = Counter()
    for week, fields, truth, bin_, confidence in rows:
        field = json.loads(fields)[DEPARTMENT]
        key = (week, field["outcome"], field["value"], truth, bin_)
        tickets[key] += 1
        confidences[key] += confidence
    return [Judged(True, *key, count, confidences[key]) for key, count in tickets.items()]


def _truths(since_ms: int) -> Any:
    """The values of `records.feedback.truths` as a query: of each decision, the row with `place` 1."""
    first = (case((feedback.c.source == LabelSource.CLOSE.value, 0), else_=1), feedback.c.at.desc())
    place = func.row_number().over(partition_by=feedback.c.decision_id, order_by=(*first, feedback.c.id.desc()))
    said: Select[Any] = select(feedback.c.decision_id, feedback.c.value, place.label("place")).where(
        feedback.c.field == DEPARTMENT, feedback.c.decision_id >= first_id(since_ms)
    )
    return said.subquery()


def _models() -> Sequence[ColumnElement[bool]]:
    return ~decisions.c.holdout, decisions.c.reason != Reason.CORRECTED.value


def _week() -> ColumnElement[int]:
    return (decisions.c.created_at + MONDAY_MS) // WEEK_MS


def _bin() -> ColumnElement[int]:
    # Not a cast to integer: SQLite cuts, PostgreSQL rounds.
    return case(
        *((decisions.c.confidence < edge, number) for number, edge in enumerate(EDGES)),
        else_=len(EDGES),
    )
