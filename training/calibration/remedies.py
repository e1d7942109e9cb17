"""What would change a run that routes nothing: a lower promise, a lower confidence, more tickets, or cost mode."""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Frozen
from models.scoring import FieldScoring
from training.calibration.calibrate import calibrate_field, route_level
from training.calibration.precision_curve import TARGETS
from training.calibration.predictions import Scored, TopPredictions, top_predictions
from training.calibration.threshold_tests import allowed_errors, chance_to_pass
from training.data.draw import rows_for_calibration
from training.data.split import PLANNING
from training.recipe import Recipe

POWER = 0.8
"""The chance of routing something that is asked of the number of tickets."""
_CONFIDENCES = (0.9, 0.8)
_NAMED = 3
_SIZES = np.concatenate([np.arange(1, 2000), np.geomspace(2000, 200_000, 200).astype(np.int64)])
_THRESHOLDS = 30
_PRIOR_ROWS = 10
"""Weight of the field's own error rate, in rows, as in the plan of the tests."""


class Remedies(Frozen):
    """Shares of the calibration rows that would be routed, and numbers of tickets. None: that would change nothing."""

    precision: float
    confidence: float
    rows: int
    """Calibration rows."""
    lower_precision: tuple[float, float] | None
    """The highest lower promise that routes, and the share that it routes."""
    lower_confidence: tuple[float, float] | None
    """Likewise a confidence."""
    tickets: int
    """Closed tickets of this run."""
    needed: int | None
    """Closed tickets with which this model would route something with the chance POWER."""
    by_label: Mapping[str, int]
    """Likewise for a label by itself, the one with the fewest first."""
    cost: float
    """Share that cost mode routes."""

    @property
    def text(self) -> str:
        """One line for people."""
        ways = []
        if self.lower_precision:
            ways.append("a promise of {:.4g} would route {:.0%}".format(*self.lower_precision))
        if self.lower_confidence:
            ways.append("a confidence of {:.4g} would route {:.0%}".format(*self.lower_confidence))
        if self.needed is None:
            ways.append("more tickets alone would not do: this model is not right often enough even where it is surest")
        elif self.needed <= self.tickets:
            ways.append(f"its {self.tickets:,} tickets would do {POWER:.0%} of the times: this draw was unlucky")
        else:
            soonest = [f"{label} {needed - self.tickets:,}" for label, needed in self.by_label.items()][:_NAMED]
            own = f"; for a label by itself {', '.join(soonest)}" if soonest else ""
            ways.append(f"about {self.needed - self.tickets:,} more tickets would do with a chance of {POWER:.0%}{own}")
        if self.cost:
            ways.append(f"cost mode (aim = cost) would route {self.cost:.0%}, without a promise")
        return (
            f"routes nothing: {self.rows} calibration rows do not carry a promise of {self.precision:.4g} with a "
            f"confidence of {self.confidence:.4g}; {'; '.join(ways)}"
        )


def find_remedies(
    scoring: FieldScoring,
    validation: Scored,
    calibration: Scored,
    recipe: Recipe,
    tickets: int,
    *,
    calibration_only: bool = False,
) -> Remedies | None:
    """None: the field routes something.

    Args:
        scoring: the field's temperature and thresholds.
        validation: the rows that planned its tests.
        calibration: the rows that tested its thresholds.
        recipe: the settings of the guarantee.
        tickets: all rows of the run.
        calibration_only: whether every row of the run calibrates (later tickets, or out-of-fold answers).
    """
    field = scoring.field
    if any(threshold.route is not None for threshold in scoring.thresholds):
        return None
    planned, tested = top_predictions(validation, scoring), top_predictions(calibration, scoring)

    def routed(**changes: object) -> float:
        promise = recipe.promise.model_copy(update={"aim": "precision", **changes})
        settings = recipe.model_copy(update={"promise": promise})
        entry = calibrate_field(field, validation, calibration, settings, "exact")
        return entry.promise.achieved_coverage or 0.0

    promise = recipe.promise
    precisions = [target for target in reversed(TARGETS) if target < promise.route_precision]
    confidences = [value for value in _CONFIDENCES if value < promise.confidence]
    by_label = {
        label: _tickets_for(np.arange(len(field.labels)) == number, planned, recipe, calibration_only)
        for number, label in enumerate(field.labels)
    }
    more = [(label, needed) for label, needed in by_label.items() if needed is not None and needed > tickets]
    return Remedies(
        precision=promise.route_precision,
        confidence=promise.confidence,
        rows=len(calibration.labelled.labels),
        lower_precision=next(((t, share) for t in precisions if (share := routed(route_precision=t))), None),
        lower_confidence=next(((c, share) for c in confidences if (share := routed(confidence=c))), None),
        tickets=tickets,
        needed=_tickets_for(np.ones(len(field.labels), dtype=bool), planned, recipe, calibration_only),
        by_label=dict(sorted(more, key=lambda pair: pair[1])),
        cost=float((tested.confidence >= route_level(recipe.effect)).mean()) if len(tested) else 0.0,
    )


def _tickets_for(
    labels: NDArray[np.bool_], planned: TopPredictions, recipe: Recipe, calibration_only: bool
) -> int | None:
    """The fewest tickets with which one of the thresholds of these labels probably passes its test; None: none does."""
    rows = planned.of(labels)
    right = rows.correct[np.argsort(-rows.confidence, kind="stable")]
    overall = float((~planned.correct).mean()) if len(planned) else 1.0
    found = []
    for accepted in np.unique(np.geomspace(1, max(len(rows), 1), _THRESHOLDS).astype(int)) if len(rows) else ():
        errors = (float((~right[:accepted]).sum()) + _PRIOR_ROWS * overall) / (accepted + _PRIOR_ROWS)
        needed = accepted_rows(recipe.promise.route_precision, errors, 1 - recipe.promise.confidence)
        if needed is not None:
            tested = math.ceil(needed * len(planned) / accepted)
            all_calibrate = math.ceil(tested / (1 - PLANNING))
            found.append(all_calibrate if calibration_only else rows_for_calibration(tested, recipe.split))
    return min(found, default=None)


def accepted_rows(precision: float, errors: float, alpha: float, power: float = POWER) -> int | None:
    """The number of rows above a threshold with which its test passes with the chance `power`; None: over 200,000.

    Args:
        precision: to prove.
        errors: true error rate above the threshold.
        alpha: error probability of the test.
        power: the wanted chance.
    """
    if errors >= 1 - precision:
        return None
    passes = chance_to_pass(_SIZES, _allowed_errors(precision, alpha), errors) >= power
    return int(_SIZES[passes.argmax()]) if passes.any() else None


@cache
def _allowed_errors(precision: float, alpha: float) -> NDArray[np.float64]:
    """`allowed_errors` of _SIZES, cached: the same values serve many error rates."""
    return allowed_errors(_SIZES, precision, alpha)
