"""The interval of a loss of accuracy between two models that answered the same rows."""

import numpy as np
import pytest

from training.evaluation.intervals import paired_loss


def test_a_gain_is_a_negative_loss() -> None:
    gain, loss = paired_loss(2, 8, 100), paired_loss(8, 2, 100)
    assert (gain.value, gain.low, gain.high) == pytest.approx((-loss.value, -loss.high, -loss.low))


def test_models_without_a_difference_have_an_interval_by_the_number_of_rows() -> None:
    """z² / (rows + z²) on both sides (Tango): 7 points with 50 rows, .4 with 1,000."""
    few, many = paired_loss(0, 0, 50), paired_loss(0, 0, 1000)
    assert (few.value, few.low, few.high) == pytest.approx((0, -0.0713, 0.0713), abs=1e-3)
    assert (many.low, many.high) == pytest.approx((-0.00383, 0.00383), abs=1e-4)


@pytest.mark.parametrize("counts", [(1, 0, 1), (0, 1, 1), (44, 0, 44), (0, 44, 44), (20, 24, 44)])
def test_the_interval_contains_the_value_at_every_limit(counts: tuple[int, int, int]) -> None:
    found = paired_loss(*counts)
    assert -1 <= found.low <= found.value <= found.high <= 1


@pytest.mark.parametrize(("rows", "worse", "better"), [(60, 0.1, 0.05), (300, 0.02, 0.01), (1500, 0.01, 0.0)])
def test_the_interval_covers_the_true_loss(rows: int, worse: float, better: float) -> None:
    """In about 95 % of draws, also with few rows."""
    draws = np.random.default_rng(1).multinomial(rows, [worse, better, 1 - worse - better], size=1000)
    found = [paired_loss(int(only_before), int(only_after), rows) for only_before, only_after, _ in draws]
    assert 0.93 <= np.mean([one.low <= worse - better <= one.high for one in found]) <= 0.98
