"""The evidence that people undo more routes to a label than the bundle promises, and the switch that follows from it.

The evidence is that of an e-detector (Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential
change detection", 2024) in the form of Shiryaev and Roberts. In the order in which the tickets closed, R = (1 + R) x L
with the likelihood ratio L of a larger share of moved tickets against the allowed one, and the mean over RATIOS. While
the share is at most the allowed one, the expectation of R at any stopping time up to t tickets is at most t; so the
probability that R reaches c within t tickets is at most t / c, however often it is looked at. c is THRESHOLD.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, text

from service.automation.switches import Mode, Selector, Switch, newest, set_switch
from service.inference.engine import Engine
from service.records.database.schema import decisions, feedback
from service.records.feedback import truths

AUTHOR = "misroute alarm"
"""Of its switches. No key has this name: names have no spaces."""
THRESHOLD = 10_000 / 0.01
"""A label whose promise is kept is taken back with a probability of at most 1 % within 10,000 closed tickets."""
RATIOS = (2, 3, 5)
"""The shares of moved tickets that it looks for, as multiples of the allowed share."""
LEAST_ALLOWED = 0.005
"""With a promise of 100 % a single moved ticket would be proof; people err more often than this."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A label that is routed. `allowed`: the share of wrong routes that the promise of `bundle` leaves."""

    bundle: str
    field: str
    label: str
    allowed: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of the newest closed tickets that were routed to a label since the switch `since`, up to the feedback `until`.
    `strength`: the logarithm of R as a share of the threshold's; at 1 the alarm fires. `last` and `last_moved`: those
    on which it rests most."""

    watched: Watched
    since: str
    until: str | None
    tickets: int
    moved: int
    strength: float
    last: int
    last_moved: int

    @property
    def why(self) -> str:
        moved = f"{self.last_moved} of the last {self.last} closed tickets were moved elsewhere"
        return f"{moved}; the promise allows {100 * self.watched.allowed:.3g} %"


def watched_by(engine: Engine) -> list[Watched]:
    """The labels that the bundle being served routes and makes a promise of."""
    return [
        Watched(engine.model.version, field.name, label.name, 1 - field.promise.achieved_precision_low)
        for field in engine.graph.entry.fields
        if field.promise.achieved_precision_low is not None
        for label in field.labels
        if label.route is not None
    ]


def evidence_of(watched: Watched, since: str, until: str | None, moved: Sequence[bool]) -> Evidence:
    """`moved`: for each ticket, in the order in which they closed, whether it was moved elsewhere."""
    allowed = max(LEAST_ALLOWED, watched.allowed)
    total, best, first = 0.0, 0.0, 0
    for ratio in RATIOS:
        larger = min(ratio * allowed, (1 + allowed) / 2)
        factors = ((1 - larger) / (1 - allowed), larger / allowed)
        detector, likeliest, start = 0.0, 1.0, 0
        for place, each in enumerate(moved):
            if likeliest <= 1:
                likeliest, start = 1.0, place
            detector = min((1 + detector) * factors[each], 1e200)
            likeliest = min(likeliest * factors[each], 1e200)
        total += detector / len(RATIOS)
        if likeliest > best:
            best, first = likeliest, start
    strength = math.log(max(1.0, total)) / math.log(THRESHOLD)
    return Evidence(watched, since, until, len(moved), sum(moved), strength, len(moved) - first, sum(moved[first:]))


def read_evidence(
    connection: Connection, watched: Watched, tickets: int, known: Evidence | None = None
) -> Evidence | None:
    """`known`: the last one, which is returned if there is nothing new. None: a switch keeps the label back."""
    switches = _switches(connection, watched)
    if any(each.mode is not Mode.ROUTE for each in switches):
        return None
    since = max((each.id for each in switches), default="")
    closed = (
        select(feedback)
        .where(feedback.c.field == watched.field, feedback.c.routed_to == watched.label)
        .order_by(feedback.c.id.desc())
    )
    until = connection.execute(closed.with_only_columns(feedback.c.id).limit(1)).scalar()
    if known is not None and (known.watched, known.since, known.until) == (watched, since, until):
        return known
    found = closed.limit(tickets).subquery()
    # What another bundle routed says nothing of this one's promise.
    rows = connection.execute(
        select(found)
        .join(decisions, decisions.c.id == found.c.routed_by)
        .where(found.c.routed_by > since, decisions.c.bundle == watched.bundle)
        .order_by(found.c.id)
    )
    by_decision: dict[str, list[Any]] = {}
    for row in rows:
        by_decision.setdefault(row.routed_by, []).append(row)
    values = [(each[0] if len(each) == 1 else truths(each)[watched.field]).value for each in by_decision.values()]
    return evidence_of(watched, since, until, [value != watched.label for value in values])


def take_back(connection: Connection, evidence: Evidence) -> Switch | None:
    """Switch the label to `suggest`. None: another service or a person has set a switch since the evidence was read."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer; here two could both find no switch
        connection.execute(text("LOCK TABLE automation IN SHARE ROW EXCLUSIVE MODE"))
    watched = evidence.watched
    if max((each.id for each in _switches(connection, watched)), default="") != evidence.since:
        return None
    return set_switch(connection, watched.field, {"label": watched.label}, Mode.SUGGEST, AUTHOR, evidence.why)


def _switches(connection: Connection, watched: Watched) -> list[Switch]:
    """The newest ones of the label and of its whole field."""
    selectors: tuple[Selector, ...] = ({}, {"label": watched.label})
    return [each for each in newest(connection) if each.field == watched.field and each.selector in selectors]
