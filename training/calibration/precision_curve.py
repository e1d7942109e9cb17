"""Coverage and precision for several precision targets: the figures for choosing a target."""

from collections.abc import Sequence

from models.bundle.manifest import Frozen
from models.fields import Field
from models.scoring import Outcome
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored, outcomes_of
from training.recipe import Recipe

TARGETS = (0.80, 0.85, 0.90, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)


class TargetFigures(Frozen):
    """The result of another precision target: thresholds set on the calibration rows, then measured on other rows."""

    target: float
    coverage: float
    """Share of the measured rows that is routed."""
    precision: float | None
    """Share of the routed rows that is right; None: nothing is routed."""


def promise_curve(
    field: Field,
    validation: Scored,
    calibration: Scored,
    measured: Scored,
    recipe: Recipe,
    targets: Sequence[float] = TARGETS,
) -> tuple[TargetFigures, ...]:
    """The whole guarantee procedure, once per target.

    Args:
        field: the field, with its labels' columns in the logits.
        validation: rows that choose what is tested.
        calibration: rows for the tests.
        measured: rows that no decision used, at least one of them with a label; the figures are measured on them.
        recipe: the settings of the guarantee; its own target is not used.
        targets: precision targets.
    """
    rows, points = measured.labelled, []
    for target in targets:
        promise = recipe.promise.model_copy(update={"aim": "precision", "route_precision": target})
        settings = recipe.model_copy(update={"promise": promise})
        scoring = calibrate_field(field, validation, calibration, settings, "exact").scoring(field)
        routed = outcomes_of(rows.logits, scoring) == Outcome.ROUTE
        right = rows.logits[routed][:, field.slice].argmax(axis=1) == rows.labels[routed]
        precision = float(right.mean()) if routed.any() else None
        points.append(TargetFigures(target=target, coverage=float(routed.mean()), precision=precision))
    return tuple(points)
