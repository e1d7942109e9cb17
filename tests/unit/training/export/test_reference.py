"""Bins of numbers, also of few and of equal ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.export.reference import BINS, ROWS_PER_BIN, bins_of


def test_different_numbers_have_deciles() -> None:
    found = bins_of(np.arange(1000, dtype=np.float64))
    assert len(found.counts) == BINS
    assert max(found.counts) - min(found.counts) <= 2


@pytest.mark.parametrize(("rows", "bins"), [(199, 9), (60, 3), (10, 2)])
def test_few_numbers_have_fewer_bins(rows: int, bins: int) -> None:
    """Each holds ROWS_PER_BIN, but for fewer numbers than two bins hold."""
    found = bins_of(np.arange(rows, dtype=np.float64))
    assert len(found.counts) == bins
    assert rows < 2 * ROWS_PER_BIN or min(found.counts) >= ROWS_PER_BIN - 1


def test_equal_numbers_share_a_bin() -> None:
    """As lengths do that are cut at the model's limit."""
    values = np.array([5.0] * 300 + [6.0] * 100 + [64.0] * 600)
    found = bins_of(values)
    assert (found.edges, found.counts) == ((6.0, 64.0), (300, 100, 600))
    assert bins_of(np.full(100, 7.0)).counts == (100,)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=300))
def test_every_number_is_in_one_bin_and_no_bin_is_empty(values: list[int]) -> None:
    found = bins_of(np.array(values, dtype=np.float64))
    assert sum(found.counts) == len(values)
    assert min(found.counts) > 0
