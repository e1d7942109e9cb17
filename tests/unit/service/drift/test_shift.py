"""The index itself, and how often chance alone would raise the alert."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.drift.shift import FEWEST_ROWS, LEAST_TICKETS, TICKETS_PER_BIN, Shift, fewest_tickets
from service.drift.shift import shift as shift_or_none

ALERT = 0.1
"""As in k8s/components/monitoring/rules.yaml."""

counts = st.lists(st.integers(FEWEST_ROWS, 5000), min_size=2, max_size=40)


def shift(expected: Sequence[int], found: Sequence[int]) -> Shift:
    between = shift_or_none(expected, found)
    assert between is not None
    return between


def test_the_index_is_that_of_its_definition() -> None:
    """The smoothing is hardly felt with many tickets."""
    found = shift([5000, 5000], [70_000, 30_000]).raw
    assert found == pytest.approx(0.2 * math.log(0.7 / 0.5) - 0.2 * math.log(0.3 / 0.5), rel=1e-3)


@given(counts, st.integers(1, 20))
def test_equal_shares_are_no_shift(expected: list[int], factor: int) -> None:
    found = shift(expected, [factor * count for count in expected])
    assert found.raw == pytest.approx(0, abs=0.01)
    assert found.psi == 0


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=2, max_size=40))
def test_any_counts_give_finite_numbers(pairs: list[tuple[int, int]]) -> None:
    """With no rows, no tickets or empty bins as well."""
    found = shift_or_none([row for row, _ in pairs], [ticket for _, ticket in pairs])
    if found is None:
        return
    assert found.psi >= 0
    assert math.isfinite(found.raw + found.chance)


def test_with_too_few_rows_there_is_no_index() -> None:
    """All bins are one then."""
    assert shift_or_none([FEWEST_ROWS - 1] * 30, [10] * 30) is None


def test_rare_bins_count_together() -> None:
    """Forty labels with a row each are one bin: which of them a ticket has says nothing."""
    rows, tickets = [500, 500], [250, 250]
    alone = shift([*rows, 40], [*tickets, 20])
    apart = shift([*rows, *[1] * 40], [*tickets, 20, *[0] * 39])
    assert apart == alone


@pytest.mark.parametrize("bins", [2, 10, 77])
def test_some_tickets_in_every_bin_are_needed(bins: int) -> None:
    assert fewest_tickets([FEWEST_ROWS] * bins) == max(LEAST_TICKETS, TICKETS_PER_BIN * bins)


@pytest.mark.parametrize("bins", [2, 5, 10, 30, 77, 150])
@pytest.mark.parametrize("rows", [150, 500, 3000])
@pytest.mark.parametrize("steepness", [0.0, 1.0], ids=["even", "Zipf"])
def test_chance_alone_does_not_raise_the_alert(bins: int, rows: int, steepness: float) -> None:
    """References and windows from one distribution, at the fewest tickets: with 15 rows a bin fewer than one window
    in a thousand exceeds the alert's threshold, with few rows one in two hundred."""
    generator = np.random.default_rng(bins * rows)
    shares = 1.0 / np.arange(1, bins + 1) ** steepness
    shares /= shares.sum()
    alarms, runs = 0, 10_000 if bins <= 10 else 4_000
    for expected in generator.multinomial(rows, shares, size=runs // 10).tolist():
        for found in generator.multinomial(fewest_tickets(expected), shares, size=10).tolist():
            between = shift_or_none(expected, found)  # None: no index, so no alarm
            alarms += between is not None and between.psi > ALERT
    assert alarms < runs * (0.001 if rows >= 15 * bins else 0.005)


@pytest.mark.parametrize(("bins", "rows"), [(5, 200), (10, 500), (77, 3000)])
def test_a_tripled_share_raises_it(bins: int, rows: int) -> None:
    """The share of a bin with a tenth of the rows, at the fewest tickets, in 8 of 10 windows."""
    generator = np.random.default_rng(1)
    before = np.array([0.1, *[0.9 / (bins - 1)] * (bins - 1)])
    after = np.array([0.3, *[0.7 / (bins - 1)] * (bins - 1)])
    raised = [
        shift(
            (expected := generator.multinomial(rows, before).tolist()),
            generator.multinomial(fewest_tickets(expected), after).tolist(),
        ).psi
        > ALERT
        for _ in range(200)
    ]
    assert sum(raised) >= 160
