"""What another precision target would give: from the curve that training measured, and from what people said since.

The service never changes a threshold. Thresholds come from a bundle, and a bundle with another promise comes from
`training recalibrate`, which tests it on rows of its own.
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from models.bundle.bundle import Bundle
from models.errors import BundleError
from models.fields import DEPARTMENT
from service.desk.quality.figures import Assumptions, Saved, saved
from service.desk.quality.queries import Answer
from service.records.live import Share, share

METRICS = "metrics.json"
"""Training's findings: a document of the bundle."""
LEAST, MOST = 0.80, 0.99
"""The targets that the page offers."""


class Target(NamedTuple):
    """Thresholds for a target, measured on rows that no decision used. `precision` None: nothing is routed."""

    target: float
    coverage: float
    precision: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """`rows`: measured ones. `promised`: the bundle's own target."""

    targets: tuple[Target, ...]
    rows: int
    promised: float
    costs: Assumptions
    tickets_per_week: int


class Simulated(NamedTuple):
    """A target's result. `between`: the curve was measured at neighbouring targets only."""

    target: float
    coverage: float
    precision: float | None
    between: bool
    week: Saved


class Step(NamedTuple):
    """So many of the surest tickets, and how many of them are right."""

    tickets: int
    right: int


class Live(NamedTuple):
    """The most tickets, the surest first, of which the target's share was right. `precision` None: there are none."""

    coverage: float
    rows: int
    precision: Share | None


def read_curve(bundle: Bundle) -> Curve | None:
    """None: the bundle has no curve that can be read, for it is of another release or was not made by `train`."""
    try:
        metrics = json.loads(bundle.read(METRICS))
        found = metrics["targets"][DEPARTMENT]
        targets = tuple(
            Target(float(each["target"]), float(each["coverage"]), _number(each["precision"])) for each in found
        )
        rows = metrics["rows"]
        costs = (metrics.get("effect") or {}).get("assumptions") or {}
        curve = Curve(
            tuple(sorted(targets)),
            int(rows.get("test") or rows["validation"]),
            bundle.fp32.entry.fields[0].promise.route_precision,
            Assumptions(**{each.name: float(costs[each.name]) for each in fields(Assumptions) if each.name in costs}),
            int(costs.get("tickets_per_week", 1000)),
        )
    except (BundleError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return curve if len(curve.targets) > 1 else None


def simulated(curve: Curve, target: float, tickets_per_week: float, costs: Assumptions) -> Simulated:
    """Tickets that are not routed count as triaged by hand: which of them are suggested is not measured by target."""
    target = min(max(target, curve.targets[0].target), curve.targets[-1].target)
    low, high = next((low, high) for low, high in pairwise(curve.targets) if low.target <= target <= high.target)
    part = (target - low.target) / (high.target - low.target)
    coverage = low.coverage + part * (high.coverage - low.coverage)
    # Where nothing is routed there is no precision to go from.
    ends = [each for each in (low.precision, high.precision) if each is not None]
    precision = None
    if ends and coverage > 0:
        precision = ends[0] + part * (ends[-1] - ends[0])
    routed = tickets_per_week * coverage
    week = saved(tickets_per_week, routed, 0, precision or 0.0, costs)
    return Simulated(target, coverage, precision, 0 < part < 1, week)


def live(steps: Sequence[Step], target: float) -> Live:
    """As one threshold for all labels would have routed them. The bundle sets one for each label, and proves it."""
    if not steps:
        return Live(0.0, 0, None)
    best = next((each for each in reversed(steps) if each.right >= target * each.tickets), Step(0, 0))
    return Live(best.tickets / steps[-1].tickets, steps[-1].tickets, share(best.right, best.tickets))


def steps_of(answers: Sequence[Answer]) -> list[Step]:
    """The surest first. Equal confidences are routed together or not at all, so they are one step."""
    found: list[Step] = []
    surest = sorted(answers, key=lambda each: -each.confidence)
    right = 0
    for number, each in enumerate(surest, 1):
        right += each.right
        if number == len(surest) or surest[number].confidence != each.confidence:
            found.append(Step(number, right))
    return found


def command(bundle: Path, target: float) -> str:
    """The commands that make a bundle with this target, for the machine that trains."""
    folder = shlex.quote(str(bundle))
    return "\n".join(
        (
            "python -m service records export --out records.jsonl",
            "python -m training export-feedback --records records.jsonl --out feedback.jsonl",
            f"python -m training recalibrate --bundle {folder} --data feedback.jsonl --precision {target:.4g}",
        )
    )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
