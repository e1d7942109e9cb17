"""The difference of two shares of different rows, with an interval."""

import math

from training.evaluation.intervals import share
from training.evaluation.paired_bootstrap import Difference


def difference_of_shares(champion: tuple[int, int], challenger: tuple[int, int]) -> Difference:
    """Each side as a count and its rows.

    The interval is the hybrid score interval, from Wilson's of both shares (Newcombe, Statistics in Medicine 1998,
    method 10).
    """
    before, after = share(*champion), share(*challenger)
    if before is None or after is None:
        values = (None if each is None else each.value for each in (before, after))
        was, now = values
        return Difference(champion=was, challenger=now, difference=None, low=None, high=None)
    difference = after.value - before.value
    return Difference(
        champion=before.value,
        challenger=after.value,
        difference=difference,
        low=difference - math.hypot(after.value - after.low, before.high - before.value),
        high=difference + math.hypot(after.high - after.value, before.value - before.low),
    )
