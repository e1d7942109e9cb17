"""How good the routing is in use: what the router said of a department, against what people said.

Two kinds of rows, never mixed (`BASES`): `feedback`, decisions that people told of, which are those they corrected more
often than others; and `audit`, the random share, a sample of all mail, with what the model said of it.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from models.fields import DEPARTMENT
from models.scoring import Outcome
from service.records.database.schema import decisions, feedback, first_id
from service.records.feedback import truths

BASES = ("feedback", "audit")
PORTION = 500
"""Decisions of one query."""
_Z = 1.959964


class Share(NamedTuple):
    """A share of `rows`, with its 95 % interval by Wilson (1927)."""

    value: float
    low: float
    high: float
    rows: int


def share(count: int, rows: int) -> Share | None:
    """None: no rows."""
    if not rows:
        return None
    value = count / rows
    middle = value + _Z * _Z / (2 * rows)
    half = _Z * math.sqrt(value * (1 - value) / rows + _Z * _Z / (4 * rows * rows))
    low, high = ((middle + sign * half) / (1 + _Z * _Z / rows) for sign in (-1, 1))
    return Share(value, max(0.0, low), min(1.0, high), rows)


@dataclass(slots=True)
class _Tally:
    """Of one department and basis. `wanted`: rows whose true department it is; of them `wanted_routed` were routed, to
    it or another. `predicted`: rows routed or suggested to it, with their confidences."""

    wanted: int = 0
    wanted_routed: int = 0
    routed: int = 0
    routed_right: int = 0
    predicted: int = 0
    predicted_right: int = 0
    confidence: float = 0.0

    def add(self, other: "_Tally") -> None:
        for name in _Tally.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Measures:
    """`precision`: of the tickets that were routed to the department, the share that belongs there. `coverage`: of its
    tickets, the share that was routed. `agreement`: of the tickets that were routed, suggested or kept back by a switch
    of automation, the share that was right; calibrated, if `confidence`, the mean of the same tickets, lies within its
    interval."""

    precision: Share | None
    coverage: Share | None
    agreement: Share | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Department:
    """`override`: of all tickets that were routed to the department, the share that people moved elsewhere."""

    override: Share | None
    measures: Mapping[str, Measures]


@dataclass(frozen=True, slots=True)
class Estimate:
    """`rows`: by basis, the decisions that the estimate rests on; `decisions` and `routed`: all of the time, without
    the random share."""

    since_ms: int
    computed_ms: int
    decisions: int
    routed: int
    rows: Mapping[str, int]
    overall: Department
    departments: Mapping[str, Department]


@dataclass(slots=True)
class Sums:
    """What `add_portion` collects."""

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BASES, 0))
    tallies: dict[tuple[str, str], _Tally] = field(default_factory=lambda: defaultdict(_Tally))
    overridden: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def counts(connection: Connection, since_ms: int) -> tuple[int, dict[str, int]]:
    """The number of decisions since then without the random share, and by department, of those routed."""
    since = decisions.c.id >= first_id(since_ms)
    total = connection.execute(select(func.count()).select_from(decisions).where(since, ~decisions.c.holdout)).scalar()
    routed = select(decisions.c.department, func.count()).where(since, decisions.c.outcome == Outcome.ROUTE.value)
    return total or 0, {row[0]: row[1] for row in connection.execute(routed.group_by(decisions.c.department))}


def add_portion(connection: Connection, after: str, sums: Sums) -> str | None:
    """Add the next decisions with feedback to the sums. Returns the last id; None: there are no more."""
    about = feedback.c.field == DEPARTMENT
    ids = connection.execute(
        select(feedback.c.decision_id)
        .where(about, feedback.c.decision_id > after)
        .distinct()
        .order_by(feedback.c.decision_id)
        .limit(PORTION)
    ).scalars()
    wanted: list[str] = list(ids)
    if not wanted:
        return None
    said: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(select(feedback).where(about, feedback.c.decision_id.in_(wanted))):
        said[row.decision_id].append(row)
    columns = select(decisions.c.id, decisions.c.holdout, decisions.c.fields)
    for row in connection.execute(columns.where(decisions.c.id.in_(wanted))):
        _add(sums, row.holdout, json.loads(row.fields)[DEPARTMENT], truths(said[row.id])[DEPARTMENT].value)
    return wanted[-1]


def estimate_of(sums: Sums, since_ms: int, computed_ms: int, total: int, routed: Mapping[str, int]) -> Estimate:
    names = sorted({*routed, *(name for _, name in sums.tallies)})
    return Estimate(
        since_ms=since_ms,
        computed_ms=computed_ms,
        decisions=total,
        routed=sum(routed.values()),
        rows=dict(sums.rows),
        overall=_department(sums, names, sum(sums.overridden.values()), sum(routed.values())),
        departments={name: _department(sums, [name], sums.overridden[name], routed.get(name, 0)) for name in names},
    )


def _add(sums: Sums, holdout: bool, judged: Mapping[str, Any], truth: str) -> None:
    basis = BASES[holdout]
    sums.rows[basis] += 1
    value, routed = judged["value"], judged["outcome"] == Outcome.ROUTE
    wanted = sums.tallies[basis, truth]
    wanted.wanted += 1
    wanted.wanted_routed += routed
    if value is not None:
        predicted = sums.tallies[basis, value]
        predicted.predicted += 1
        predicted.predicted_right += value == truth
        predicted.confidence += judged["confidence"]
        predicted.routed += routed
        predicted.routed_right += routed and value == truth
        if routed and value != truth and not holdout:
            sums.overridden[value] += 1


def _department(sums: Sums, names: Iterable[str], overridden: int, routed: int) -> Department:
    measures = {}
    for basis in BASES:
        tally = _Tally()
        for name in names:
            tally.add(sums.tallies.get((basis, name), _Tally()))
        measures[basis] = Measures(
            precision=share(tally.routed_right, tally.routed),
            coverage=share(tally.wanted_routed, tally.wanted),
            agreement=share(tally.predicted_right, tally.predicted),
            confidence=tally.confidence / tally.predicted if tally.predicted else None,
        )
    # Feedback may come between the two queries.
    return Department(override=share(min(overridden, routed), routed), measures=measures)
