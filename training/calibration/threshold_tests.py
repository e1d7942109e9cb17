"""Tests of ever lower thresholds on the calibration rows, in an order that was fixed before those rows were looked at.

The tests of a field stand in one line, group after group. Each may use its own share of the error probability; a test
that passes hands all it could use on to the next (fallback procedure: Wiens 2003; Wiens & Dmitrienko 2005). Whatever
the truth, and however the tests depend on each other, the probability that any passed threshold breaks the promise is
at most the sum of the shares. A fixed sequence (Angelopoulos et al., "Learn then Test", 2021) is the case of one share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc
from scipy.stats import beta

from training.calibration.predictions import Graded
from training.recipe import PromiseRecipe

STARTS = 3
"""Walks downwards that share a group's error probability: one unlucky test does not leave everything to people."""


def fewest_rows(precision: float, doubt: float) -> int:
    """How many rows without one error it takes to promise `precision`: 59 for .95 at 95 %."""
    return math.ceil(math.log(doubt) / math.log(precision))


def fewest_start(recipe: PromiseRecipe) -> int:
    """How many calibration rows, all of them right, it takes before any label can be routed."""
    return fewest_rows(recipe.route_precision, 1 - recipe.confidence)


@dataclass(frozen=True, slots=True)
class TestSequence:
    """One group's tests.

    `labels` [labels of the field] says whose rows belong to the group, `thresholds` [tests] what is tried, falling;
    `doubts` [tests] what each test brings of the error probability: 0 but where a walk downwards starts.
    """

    __test__ = False  # not a test of pytest's

    labels: NDArray[np.bool_]
    thresholds: NDArray[np.float64]
    doubts: NDArray[np.float64]


def precision_bound(right: int, rows: int, doubt: float) -> float:
    """The lower Clopper-Pearson bound of a precision, one-sided, at confidence 1 - doubt (Clopper & Pearson 1934)."""
    return 0.0 if right == 0 else float(beta.ppf(doubt, right, rows - right + 1))


def p_value(right: int, rows: int, precision: float) -> float:
    """How likely so many right answers or more are if the true precision is only just `precision` (exact binomial).

    At most `doubt` exactly where `precision_bound(right, rows, doubt)` is at least `precision`.
    """
    return 1.0 if right == 0 else float(betainc(right, rows - right + 1, precision))


def lowest_passed(sequences: Sequence[TestSequence], rows: Graded, precision: float) -> list[float | None]:
    """For each group the lowest threshold above which `precision` is proven; None: none is.

    All of them hold together, except with the sum of all `doubts` as probability over the draw of the rows: the
    fallback procedure (Wiens, Pharmaceutical Statistics 2003). A passed test hands what it had to the next one; a
    failed one loses it.
    """
    found: list[float | None] = []
    level = 0.0
    for sequence in sequences:
        group = rows.of(sequence.labels)
        passed = None
        for threshold, doubt in zip(sequence.thresholds, sequence.doubts, strict=True):
            level += float(doubt)
            if level:
                accepted = group.confidence >= threshold
                proven = p_value(int(group.correct[accepted].sum()), int(accepted.sum()), precision) <= level
                passed, level = (float(threshold), level) if proven else (passed, 0.0)
        found.append(passed)
    return found
