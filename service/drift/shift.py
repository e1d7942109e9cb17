"""How far counts are from the reference's: the population stability index, corrected for chance.

PSI is the sum of (found - expected) x ln(found / expected) over the bins. Without drift, PSI / (1 / tickets + 1 / rows)
is about chi-squared with one degree of freedom fewer than bins, so 400 tickets give a PSI of .2 in 77 bins and .03 in
10. Up to the 99.99 % quantile an index is taken for chance; above, its expectation without drift is subtracted. So one
threshold suits every number of bins, tickets and rows. `tests/unit/service/drift/test_shift.py` simulates how often
chance alone exceeds it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

FEWEST_ROWS = 15
"""Bins with fewer rows of the reference are one bin."""
LEAST_TICKETS = 300
TICKETS_PER_BIN = 5
_SMOOTHING = 0.5
"""Added to every count: an empty bin has no logarithm."""
_DEVIATIONS = 3.719
"""Of a normal distribution, to the 99.99 % quantile."""


@dataclass(frozen=True, slots=True)
class Shift:
    """`raw`: the index; without drift its mean is `mean`, and its 99.99 % quantile `chance`."""

    raw: float
    mean: float
    chance: float

    @property
    def psi(self) -> float:
        """The index without what chance adds; 0 if chance explains it."""
        return self.raw - self.mean if self.raw > self.chance else 0.0


def fewest_tickets(expected: Sequence[int]) -> int:
    """Tickets below which there is no shift: the approximation needs some in every bin."""
    return max(LEAST_TICKETS, TICKETS_PER_BIN * _bins(expected))


def shift(expected: Sequence[int], found: Sequence[int]) -> Shift | None:
    """The shift of `found`, tickets by bin, from `expected`, the reference's rows by bin; None: too few rows for two
    bins."""
    common = [bin for bin, count in enumerate(expected) if count >= FEWEST_ROWS]
    rows = [expected[bin] for bin in common]
    tickets = [found[bin] for bin in common]
    if len(common) < len(expected):
        rows.append(sum(expected) - sum(rows))
        tickets.append(sum(found) - sum(tickets))
    bins = len(rows)
    if bins < 2:
        return None
    all_rows, all_tickets = (sum(counts) + bins * _SMOOTHING for counts in (rows, tickets))
    raw = 0.0
    for row_count, ticket_count in zip(rows, tickets, strict=True):
        row_share, ticket_share = (row_count + _SMOOTHING) / all_rows, (ticket_count + _SMOOTHING) / all_tickets
        raw += (ticket_share - row_share) * log(ticket_share / row_share)
    sampling = 1 / max(sum(rows), 1) + 1 / max(sum(tickets), 1)
    return Shift(raw, sampling * (bins - 1), sampling * _chi_squared(bins - 1))


def _bins(expected: Sequence[int]) -> int:
    common = sum(count >= FEWEST_ROWS for count in expected)
    return common + (common < len(expected))


def _chi_squared(freedom: int) -> float:
    """The 99.99 % quantile (Wilson and Hilferty, "The Distribution of Chi-Square", PNAS 1931)."""
    spread = 2 / (9 * freedom)
    return freedom * (1 - spread + _DEVIATIONS * sqrt(spread)) ** 3
