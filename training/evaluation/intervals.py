"""A figure with its 95 % interval: shares, and the F1 that follows from one. Used by the effect and by the report."""

from scipy.stats import binomtest

from models.bundle.manifest import Frozen

LEVEL = 0.95


class Estimate(Frozen):
    """A value measured on some rows, and the 95 % interval that the number of rows allows it."""

    value: float
    low: float
    high: float


def share(count: int, rows: int) -> Estimate | None:
    """`count` of `rows` as a share, with Wilson's interval (Wilson 1927); None where there are no rows."""
    if rows == 0:
        return None
    found = binomtest(count, rows).proportion_ci(LEVEL, method="wilson")
    return Estimate(value=count / rows, low=float(found.low), high=float(found.high))


def f1(right: int, wanted: int, predicted: int) -> Estimate | None:
    """F1 of a label, with an interval; None where the label neither occurs nor is predicted.

    The rows right among those wanted or predicted are a share J, and F1 = 2J / (1 + J) grows with it (Hand, Christen
    and Kirielle, "F*", Machine Learning 2021): so J's interval, carried over, is F1's.
    """
    overlap = share(right, wanted + predicted - right)
    if overlap is None:
        return None
    value, low, high = (2 * bound / (1 + bound) for bound in (overlap.value, overlap.low, overlap.high))
    return Estimate(value=value, low=low, high=high)
