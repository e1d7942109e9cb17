"""Figures with 95 % intervals: shares, F1, and a loss of accuracy. Used by the business impact, the quantization gate
and the report."""

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


def paired_loss(only_before: int, only_after: int, rows: int) -> Estimate:
    """The accuracy that a second model loses on rows (at least one) that both answered.

    `only_before` rows are right with the first model alone, `only_after` with the second alone. Given their sum, the
    first number is binomial: Clopper and Pearson's exact interval of its share (Biometrika 1934) gives the interval
    of the loss, as in McNemar's exact test (Psychometrika 1947). Where the models never differ, it is a point.
    """
    differing = only_before + only_after
    loss = (only_before - only_after) / rows
    if not differing:
        return Estimate(value=loss, low=loss, high=loss)
    found = binomtest(only_before, differing).proportion_ci(LEVEL, method="exact")
    low, high = ((2 * float(bound) - 1) * differing / rows for bound in (found.low, found.high))
    return Estimate(value=loss, low=low, high=high)
