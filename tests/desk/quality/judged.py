"""Decisions with what people said of them, as rows without a model: the expected figures can be counted by hand."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert
from ulid import ULID

from service.desk.quality.queries import first_moment
from service.records.database.schema import decisions, feedback

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Case:
    """A decision in a week. `label`: the model's best. `said`: (value, source) in the order of arrival. `before_best`:
    from a version without the column `best`."""

    week: int
    label: str | None
    outcome: str = "route"
    confidence: float = 0.97
    said: tuple[tuple[str, str], ...] = ()
    holdout: bool = False
    reason: str = "confident"
    before_best: bool = False


def add(connection: Connection, cases: list[Case]) -> None:
    rows: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    for number, case in enumerate(cases):
        at = first_moment(case.week) + HOUR_MS + number
        made = str(ULID.from_timestamp(at))
        given = case.label if case.outcome != "review" and not case.holdout else None
        best = None if case.holdout or case.before_best else case.label
        candidates = [] if case.label is None or case.holdout else [{"department": case.label, "confidence": 0.5}]
        field = {"value": case.label, "outcome": case.outcome, "confidence": case.confidence, "threshold": 0.9}
        rows.append(
            {
                "id": made,
                "created_at": at,
                "caller": "test",
                "request_digest": "0" * 64,
                "ticket_id": f"T-{number}",
                "text_digest": "0" * 64,
                "outcome": "review" if case.holdout else case.outcome,
                "reason": "audit" if case.holdout else case.reason,
                "department": given,
                "confidence": case.confidence,
                "fields": json.dumps({"department": field}),
                "flags": "[]",
                "bundle": "0123456789abcdef",
                "variant": "fp32",
                "latency_ms": 1.0,
                "holdout": case.holdout,
                "best": best,
                "response": json.dumps({"candidates": candidates}),
            }
        )
        words += [
            {
                "id": str(ULID()),
                "decision_id": made,
                "ticket_id": f"T-{number}",
                "field": "department",
                "value": value,
                "source": source,
                "at": at + place + 1,
            }
            for place, (value, source) in enumerate(case.said)
        ]
    connection.execute(insert(decisions), rows)
    if words:
        connection.execute(insert(feedback), words)
