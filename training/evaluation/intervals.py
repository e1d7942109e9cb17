"""Figures with 95 % intervals: shares, and F1. Used by the business impact and the report."""

from scipy.stats import binomtest

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
