"""The plan of the threshold tests, from the validation rows alone.

The tests are exact because the plan (groups, thresholds, shares of the error probability) does not depend on the
calibration rows that they use.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.calibration.predictions import TopPredictions
from training.calibration.sample_size import fewest_rows
from training.calibration.threshold_tests import TestSequence, allowed_errors, chance_to_pass
from training.recipe import PromiseRecipe

_STEP = 1.05
"""Each next threshold accepts this many times more validation rows: fewer tests, with no visible loss of coverage."""
LIKELY = 0.999
"""A label gets a test of its own if its chance to pass is at least this: after a failed test it is never automatic."""
MOST = 0.8
"""… and if at least this share of the label's answers is routed: otherwise the pooled threshold routes more."""
LIKELY_STRICT = 0.5
"""Strict mode has no pool, so an even chance is enough for a share of the error probability."""
_PRIOR_ROWS = 10
"""Weight of the field's own error rate, in rows; it smooths groups with few validation rows."""

_LEAST_GAP = 2e-5
"""Confidences closer than this count as equal: rounding could swap their order."""
_MOST_BELOW = 1e-3
"""The largest distance of a threshold below the lowest accepted row."""


@dataclass(frozen=True, slots=True)
class _PowerAnalysis:
    """Expected results of a group's tests, from the validation rows: one entry per threshold, [thresholds], falling.

    Each threshold accepts the share `share` of the group's answers and `rows` calibration rows, with error rate
    `errors`.
    """

    thresholds: NDArray[np.float64]
    share: NDArray[np.float64]
    rows: NDArray[np.int64]
    errors: NDArray[np.float64]

    def power(self, precision: float, alpha: float) -> NDArray[np.float64]:
        """The probability that each threshold's test passes, [thresholds]."""
        return chance_to_pass(self.rows, allowed_errors(self.rows, precision, alpha), self.errors)


def plan_routes(labels: int, validation: TopPredictions, rows: int, recipe: PromiseRecipe) -> tuple[TestSequence, ...]:
    """The field's tests for routing: one sequence for each label with a test of its own, then the pool's sequence.

    Args:
        labels: labels of the field.
        validation: its answers on the validation rows.
        rows: the number of calibration rows.
        recipe: the settings of the guarantee.
    """
    alpha, ratio = 1 - recipe.confidence, rows / max(1, len(validation))
    own = _own_labels(labels, validation, ratio, recipe) if recipe.per_label != "off" else []
    groups = [np.arange(labels) == label for label in own]
    rest = ~np.isin(np.arange(labels), own)
    if recipe.per_label != "strict" and rest.any():
        groups.append(rest)
    return tuple(plan_group(group, validation, ratio, recipe.route_precision, alpha / len(groups)) for group in groups)


def plan_group(
    group: NDArray[np.bool_], validation: TopPredictions, ratio: float, precision: float, alpha: float
) -> TestSequence:
    """One group's tests: falling from the threshold that is most likely to pass, which gets the group's whole error
    probability. Sharing it with later starts routed less on every set (docs/log.md).

    Args:
        group: a mask over the field's labels, [labels of the field].
        validation: the field's answers on the validation rows.
        ratio: calibration rows per validation row.
        precision: the precision to prove.
        alpha: the group's share of the error probability.
    """
    analysis = _power_analysis(group, validation, ratio)
    alphas = np.zeros(len(analysis.thresholds))
    if len(alphas):
        alphas[analysis.power(precision, alpha).argmax()] = alpha
    return TestSequence(group, analysis.thresholds, alphas)


def _power_analysis(group: NDArray[np.bool_], validation: TopPredictions, ratio: float) -> _PowerAnalysis:
    """The thresholds of a group and the expected outcome of their tests, from the validation rows.

    `ratio` is the number of calibration rows per validation row.
    """
    rows = validation.of(group)
    order = np.argsort(-rows.confidence, kind="stable")
    falling = rows.confidence[order]
    # The tested numbers of accepted rows grow by the factor _STEP; the last one is all rows.
    ranks, count = [], 1
    while count < len(rows):
        ranks.append(count)
        count = max(count + 1, int(count * _STEP))
    tested = np.array([*ranks, len(rows)] if len(rows) else [], dtype=np.int64)
    # A threshold lies between the last accepted confidence and the next one: if it were equal to a row's confidence,
    # another processor's rounding would change the row's outcome.
    gaps = falling - np.append(falling[1:], 0.0)
    clear = tested[gaps[tested - 1] > _LEAST_GAP]
    thresholds = np.asarray(falling[clear - 1] - np.minimum(gaps[clear - 1] / 2, _MOST_BELOW))
    # Rows of equal confidence are accepted together, so count them together.
    accepted = np.searchsorted(-falling, -thresholds, side="right")
    wrong = np.cumsum(~rows.correct[order])[accepted - 1] if len(rows) else np.zeros(0)
    overall = float((~validation.correct).mean()) if len(validation) else 1.0
    return _PowerAnalysis(
        thresholds=thresholds,
        share=accepted / max(1, len(rows)),
        rows=np.rint(accepted * ratio).astype(np.int64),
        errors=(wrong + _PRIOR_ROWS * overall) / (accepted + _PRIOR_ROWS),
    )


def _own_labels(labels: int, validation: TopPredictions, ratio: float, recipe: PromiseRecipe) -> list[int]:
    """The labels with a test of their own, most likely first: as many as can share the error probability."""
    precision, alpha = recipe.route_precision, 1 - recipe.confidence
    counts = np.bincount(validation.predicted, minlength=labels) * ratio
    able = [label for label in range(labels) if counts[label] >= fewest_rows(precision, alpha)]
    analyses = {label: _power_analysis(np.arange(labels) == label, validation, ratio) for label in able}
    wanted, share = (LIKELY_STRICT, 0.0) if recipe.per_label == "strict" else (LIKELY, MOST)
    for size in range(len(able), 0, -1):
        groups = size + (recipe.per_label != "strict" and size < labels)
        # The best chance to pass among the tests that accept at least this share of the label's answers.
        powers = {
            label: float(analysis.power(precision, alpha / groups)[analysis.share >= share].max())
            for label, analysis in analyses.items()
        }
        likely = sorted((label for label in able if powers[label] >= wanted), key=lambda label: -powers[label])
        if len(likely) >= size:
            return likely[:size]
    return []
