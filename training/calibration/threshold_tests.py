"""Tests of falling thresholds on the calibration rows, in an order fixed before the calibration rows are used.

The tests of a field form one sequence, group after group. Each test may use its own share of the error probability; a
passed test hands its whole share on to the next (fallback procedure: Wiens 2003; Wiens & Dmitrienko 2005). For any true
precision and any dependence between the tests, the probability that a passed threshold misses the target is at most
the sum of the shares. A fixed sequence (Angelopoulos et al., "Learn then Test", 2021) is the case of a single share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betainc
from scipy.stats import beta, binom

from training.calibration.predictions import TopPredictions


@dataclass(frozen=True, slots=True)
class TestSequence:
    """One group's tests.

    `labels` [labels of the field] is the mask of the group's labels; `thresholds` [tests] are the thresholds, falling;
    `alphas` [tests] is each test's share of the error probability: 0 except at a start.
    """

    __test__ = False  # pytest must not collect this class

    labels: NDArray[np.bool_]
    thresholds: NDArray[np.float64]
    alphas: NDArray[np.float64]


def precision_bound(right: int, rows: int, alpha: float) -> float:
    """The one-sided lower Clopper-Pearson bound of a precision, at confidence 1 - alpha (Clopper & Pearson 1934)."""
    return 0.0 if right == 0 else float(beta.ppf(alpha, right, rows - right + 1))


def p_value(right: int, rows: int, precision: float) -> float:
    """The probability of at least this many right answers if the true precision is `precision` (exact binomial).

    At most `alpha` exactly if `precision_bound(right, rows, alpha)` is at least `precision`.
    """
    return 1.0 if right == 0 else float(betainc(right, rows - right + 1, precision))


def allowed_errors(rows: NDArray[np.int64], precision: float, alpha: float) -> NDArray[np.float64]:
    """The most errors among these numbers of rows with which a test passes, like `rows`; -1: none passes."""
    allowed = binom.ppf(alpha, rows, 1 - precision)
    return np.asarray(np.where(bdtr(np.maximum(allowed, 0), rows, 1 - precision) > alpha, allowed - 1, allowed))


def chance_to_pass(
    rows: NDArray[np.int64], allowed: NDArray[np.float64], errors: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """The probability that at most `allowed` of these numbers of rows are wrong, at this true error rate."""
    return np.asarray(np.where(allowed < 0, 0.0, bdtr(np.maximum(allowed, 0), rows, errors)))


def lowest_passed(sequences: Sequence[TestSequence], rows: TopPredictions, precision: float) -> list[float | None]:
    """For each group the lowest threshold that is proven to reach `precision`; None: no threshold is.

    All results hold together with probability 1 - the sum of all `alphas`, over the draw of the rows (fallback
    procedure: Wiens, Pharmaceutical Statistics 2003). A passed test hands its error probability on to the next; a
    failed one loses it.
    """
    found: list[float | None] = []
    level = 0.0
    for sequence in sequences:
        group = rows.of(sequence.labels)
        passed = None
        for threshold, alpha in zip(sequence.thresholds, sequence.alphas, strict=True):
            level += float(alpha)
            if level:
                accepted = group.confidence >= threshold
                proven = p_value(int(group.correct[accepted].sum()), int(accepted.sum()), precision) <= level
                passed, level = (float(threshold), level) if proven else (passed, 0.0)
        found.append(passed)
    return found
