"""Figures with 95 % intervals: shares, F1, and a loss of accuracy. Used by the business impact, the quantization gate
and the report."""

import math

from scipy.optimize import brentq
from scipy.stats import binomtest, norm

from models.bundle.manifest import Frozen

LEVEL = 0.95


class Estimate(Frozen):
    """A measured value, and its 95 % interval for the number of rows."""

    value: float
    low: float
    high: float


def share(count: int, rows: int) -> Estimate | None:
    """`count` of `rows` as a share, with Wilson's interval (Wilson 1927); None: no rows."""
    if rows == 0:
        return None
    found = binomtest(count, rows).proportion_ci(LEVEL, method="wilson")
    return Estimate(value=count / rows, low=float(found.low), high=float(found.high))


def f1(right: int, wanted: int, predicted: int) -> Estimate | None:
    """F1 of a label, with an interval; None: the label neither occurs nor is predicted.

    J is the share of right rows among those with the label at close or predicted; F1 = 2J / (1 + J) is monotonic in J
    (Hand, Christen and Kirielle, "F*", Machine Learning 2021), so the interval of J gives the interval of F1.
    """
    overlap = share(right, wanted + predicted - right)
    if overlap is None:
        return None
    value, low, high = (2 * bound / (1 + bound) for bound in (overlap.value, overlap.low, overlap.high))
    return Estimate(value=value, low=low, high=high)


def paired_loss(only_before: int, only_after: int, rows: int) -> Estimate:
    """The accuracy that a second model loses on rows (at least one) that both answered.

    `only_before` rows are right with the first model alone, `only_after` with the second alone. The interval inverts
    the score test of paired proportions (Tango, Statistics in Medicine 1998): it keeps its level with few rows, and
    where the models never differ it still says how much the rows leave open.
    """
    z = float(norm.ppf(0.5 + LEVEL / 2))
    loss = (only_before - only_after) / rows

    def score(difference: float) -> float:
        """The test statistic for this true loss; it falls as the loss grows."""
        b = -only_before - only_after + (2 * rows - only_before + only_after) * difference
        c = -only_after * difference * (1 - difference)
        likely = (math.sqrt(max(b * b - 8 * rows * c, 0.0)) - b) / (4 * rows)
        variance = rows * (2 * likely + difference * (1 - difference))
        return (only_before - only_after - rows * difference) / math.sqrt(max(variance, 1e-12))

    edge = 1 - 1e-9
    low = -1.0 if score(-edge) < z else float(brentq(lambda value: score(value) - z, -edge, loss))
    high = 1.0 if score(edge) > -z else float(brentq(lambda value: score(value) + z, loss, edge))
    return Estimate(value=loss, low=low, high=high)
