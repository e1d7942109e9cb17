"""Out of scope: the threshold from ordinary mail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from training.calibration.out_of_scope import fit_scope


@pytest.mark.parametrize("rows", [200, 1000])
def test_ordinary_mail_is_refused_no_more_often_than_said(rows: int) -> None:
    """Over many draws the share below the threshold exceeds the one allowed in at most 5 %, and is used up mostly."""
    generator = np.random.default_rng(4)
    found = [fit_scope(generator.random(rows), 0.03, 0.95) for _ in range(500)]
    refused = np.array([entry.threshold for entry in found if entry is not None])
    assert len(refused) == 500
    assert (refused > 0.03).sum() <= binom.ppf(0.999, 500, 0.05)
    assert refused.mean() > 0.03 / (4 if rows == 200 else 1.5)


def test_too_few_rows_refuse_nothing() -> None:
    """99 rows carry 3 % at 95 %, 98 do not; a share of 0 switches it off."""
    assert fit_scope(np.arange(99.0), 0.03, 0.95) is not None
    assert fit_scope(np.arange(98.0), 0.03, 0.95) is None
    assert fit_scope(np.zeros(0), 0.03, 0.95) is None
    assert fit_scope(np.arange(1000.0), 0.0, 0.95) is None


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=150, max_size=300))
def test_ties_are_kept(scores: list[float]) -> None:
    """Rows at the threshold itself are in scope, so equal scores never refuse more than allowed."""
    entry = fit_scope(np.array(scores), 0.03, 0.95)
    assert entry is not None
    assert (np.array(scores) < entry.threshold).mean() <= 0.03
