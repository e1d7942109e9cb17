"""The target precision and the measured precision side by side, with a verdict."""

from dataclasses import dataclass
from typing import Literal

from models.bundle.manifest import FieldEntry
from training.evaluation.intervals import Estimate, share
from training.evaluation.metrics import FieldFigures

PromiseStatus = Literal["kept", "likely", "unlucky", "broken", "silent"]


@dataclass(frozen=True, slots=True)
class PromiseCheck:
    """A field's target precision compared with measured rows."""

    requested: float | None
    """None: thresholds were set to save minutes, and there is no target precision."""
    proven: float | None
    """The precision that the calibration rows prove; None: nothing was proven, or the manifest has no value."""
    confidence: float
    achieved: Estimate | None
    """Precision of the routed rows; None: none was routed."""
    routed: int
    status: PromiseStatus
    """kept: the interval's low end reaches the target; likely: the value does; unlucky: only the high end does, so
    chance may be the cause; broken: even the high end does not; silent: nothing was routed."""


def check_promise(entry: FieldEntry, figures: FieldFigures) -> PromiseCheck:
    """A field's target precision and its result on these rows."""
    promise, outcomes = entry.promise, figures.outcomes
    requested = promise.route_precision if promise.aim == "precision" else None
    routed = round(outcomes.routed * figures.rows)
    achieved = share(round((outcomes.route_precision or 0) * routed), routed)
    status = _status(requested if requested is not None else promise.achieved_precision_low or 0, achieved)
    return PromiseCheck(requested, promise.achieved_precision_low, promise.confidence, achieved, routed, status)


def _status(bound: float, achieved: Estimate | None) -> PromiseStatus:
    if achieved is None:
        return "silent"
    if achieved.value >= bound:
        return "kept" if achieved.low >= bound else "likely"
    return "unlucky" if achieved.high >= bound else "broken"
