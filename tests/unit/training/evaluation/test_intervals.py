"""The interval of a loss of accuracy between two models that answered the same rows."""

import numpy as np
import pytest

from training.evaluation.intervals import paired_loss


def test_the_interval_is_clopper_and_pearsons_of_the_differing_rows() -> None:
    """8 of 10: their share lies in [.444, .975] (Clopper and Pearson), so the loss in [-.0112, .095] of 100 rows."""
    found = paired_loss(8, 2, 100)
    assert found.value == pytest.approx(0.06)
    assert (found.low, found.high) == pytest.approx(((2 * 0.44390 - 1) / 10, (2 * 0.97479 - 1) / 10), abs=1e-4)


def test_a_gain_is_a_negative_loss() -> None:
    gain, loss = paired_loss(2, 8, 100), paired_loss(8, 2, 100)
    assert (gain.value, gain.low, gain.high) == pytest.approx((-loss.value, -loss.high, -loss.low))


def test_models_that_never_differ_lose_nothing() -> None:
    found = paired_loss(0, 0, 50)
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_the_interval_covers_the_true_loss() -> None:
    """Given how many rows differ, in at least 95 % of draws."""
    draws = np.random.default_rng(1).binomial(20, 0.7, size=2000)
    found = [paired_loss(int(count), 20 - int(count), 1000) for count in draws]
    assert np.mean([one.low <= 0.4 * 20 / 1000 <= one.high for one in found]) >= 0.95
