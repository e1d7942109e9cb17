"""Counts on the record for the pages of the quality: grouped by the database, so that 100,000 decisions take well under
a second.

A person's word (`corrected`) proves nothing about the model and is left out. Of the random share the columns say
nothing, as its tickets were left to people: `fields` has what the model said.
"""

import json
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, case, exists, func, select, tuple_

from models.fields import DEPARTMENT
from models.label_source import LabelSource
from models.scoring import Reason
from service.records.database.schema import decisions, feedback, first_id

WEEK_MS = 604_800_000
MONDAY_MS = 259_200_000
"""The first day of the epoch is a Thursday."""
EDGES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Of the bins of confidence: finer where tickets are routed."""
JUDGED = 20_000
"""The newest rows of feedback, of all fields, that a live curve rests on."""


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
        .where(decisions.c.id >= first_id(since_ms), ~decisions.c.holdout, _by_the_model())
        .group_by(week, decisions.c.outcome, decisions.c.department)
    )
    return [Decided(*row) for row in rows]


def judged(connection: Connection, since_ms: int) -> list[Judged]:
    week, bin_ = _week(), _bin()
    # Of the random share the field stands in for the columns: each of its tickets is a group of its own.
    kept = case((decisions.c.holdout, decisions.c.fields))
    group = (kept, week, decisions.c.outcome, decisions.c.department, feedback.c.value, bin_)
    rows = connection.execute(
        select(*group, func.count(), func.sum(decisions.c.confidence))
        .join_from(feedback, decisions, decisions.c.id == feedback.c.decision_id)
        .where(*_truth(first_id(since_ms)), _by_the_model())
        .group_by(*group)
    )
    found = []
    for fields, number, outcome, department, truth, bin_number, tickets, confidence in rows:
        if fields is not None:
            field = json.loads(fields)[DEPARTMENT]
            outcome, department = field["outcome"], field["value"]
        found.append(Judged(fields is not None, number, outcome, department, truth, bin_number, tickets, confidence))
    return found


class Answer(NamedTuple):
    """What the model said of a ticket, right or wrong, whatever its outcome."""

    confidence: float
    right: bool


def answers(connection: Connection, since_ms: int) -> list[Answer]:
    """Of the newest tickets with a department by people. A ticket that no model was asked about is left out."""
    # Without the column `best`, of an older version, the likeliest label stands in the answer alone.
    newest = select(feedback.c.decision_id).where(feedback.c.decision_id >= first_id(since_ms))
    oldest = connection.execute(newest.order_by(feedback.c.decision_id.desc()).limit(1).offset(JUDGED)).scalar()
    needs_response = decisions.c.best.is_(None) & decisions.c.department.is_(None)
    rows = connection.execute(
        select(
            feedback.c.value,
            func.coalesce(decisions.c.best, decisions.c.department).label("label"),
            decisions.c.confidence,
            case((needs_response, decisions.c.response)).label("response"),
            case((decisions.c.holdout, decisions.c.fields)).label("fields"),
        )
        .join_from(decisions, feedback, decisions.c.id == feedback.c.decision_id)
        .where(*_truth(oldest or first_id(since_ms)), _by_the_model())
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


def _truth(since_id: str) -> tuple[ColumnElement[bool], ...]:
    """The row of `feedback` that counts, as `records.feedback.truths` has it: there is none of more weight."""
    other = feedback.alias()
    weight = tuple_(feedback.c.source == LabelSource.CLOSE.value, feedback.c.at, feedback.c.id)
    more = tuple_(other.c.source == LabelSource.CLOSE.value, other.c.at, other.c.id) > weight
    same = (other.c.decision_id == feedback.c.decision_id, other.c.field == DEPARTMENT)
    # The empty text keeps SQLite off the index by field: in the order of decisions both tables are read as they lie.
    return feedback.c.decision_id >= since_id, feedback.c.field + "" == DEPARTMENT, ~exists().where(*same, more)


def _by_the_model() -> ColumnElement[bool]:
    return decisions.c.reason != Reason.CORRECTED.value


def _week() -> ColumnElement[int]:
    return (decisions.c.created_at + MONDAY_MS) // WEEK_MS


def _bin() -> ColumnElement[int]:
    # Not a cast to integer: SQLite cuts, PostgreSQL rounds.
    return case(
        *((decisions.c.confidence < edge, number) for number, edge in enumerate(EDGES)),
        else_=len(EDGES),
    )
