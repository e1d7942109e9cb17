"""Requested and achieved, side by side, and what the difference means."""

from dataclasses import dataclass
from typing import Literal

from models.bundle.manifest import FieldEntry
from training.evaluation.intervals import Estimate, share
from training.evaluation.metrics import FieldFigures

Standing = Literal["kept", "likely", "unlucky", "broken", "silent"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A field's promise held against measured rows."""

    requested: float | None
    """None: thresholds were set to save minutes, and no precision was promised."""
    proven: float | None
    """What the calibration rows prove of the precision; None: nothing, or the manifest doesn't say."""
    confidence: float
    achieved: Estimate | None
    """Precision of what was routed; None: nothing was."""
    routed: int
    standing: Standing
    """kept: even the interval's low end is above; likely: the value is; unlucky: it isn't, but chance may be to blame;
    broken: even the high end isn't; silent: nothing was routed."""


def held(entry: FieldEntry, figures: FieldFigures) -> Kept:
    """A field's promise and how it fared on these rows."""
    promise, outcomes = entry.promise, figures.outcomes
    requested = promise.route_precision if promise.aim == "precision" else None
    routed = round(outcomes.routed * figures.rows)
    achieved = share(round((outcomes.route_precision or 0) * routed), routed)
    standing = _standing(requested if requested is not None else promise.achieved_precision_low or 0, achieved)
    return Kept(requested, promise.achieved_precision_low, promise.confidence, achieved, routed, standing)


def _standing(bound: float, achieved: Estimate | None) -> Standing:
    if achieved is None:
        return "silent"
    if achieved.value >= bound:
        return "kept" if achieved.low >= bound else "likely"
    return "unlucky" if achieved.high >= bound else "broken"
