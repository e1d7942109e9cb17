"""Tests of falling thresholds, in an order fixed beforehand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from training.calibration.predictions import TopPredictions
from training.calibration.sample_size import fewest_rows
from training.calibration.threshold_tests import TestSequence, lowest_passed, p_value, precision_bound

BOTH = np.array([True, True])


def predictions(correct: list[bool], predicted: int = 0) -> TopPredictions:
    """Answers of falling confidence from 1 down, .01 apart."""
    rows = len(correct)
    return TopPredictions(np.full(rows, predicted), 1 - np.arange(rows) / 100, np.array(correct, dtype=bool))


def sequence(*thresholds: float, alpha: float = 0.05, labels: np.ndarray = BOTH) -> TestSequence:
    """Its first test has the whole error probability."""
    return TestSequence(labels, np.array(thresholds), np.eye(1, len(thresholds)).ravel() * alpha)


@given(st.integers(1, 300), st.floats(0.001, 0.5), st.data())
def test_the_bound_is_the_exact_binomial_one(rows: int, alpha: float, data: st.DataObject) -> None:
    """At the bound itself, so many right answers or more have just the probability `alpha`."""
    right = data.draw(st.integers(1, rows))
    bound = precision_bound(right, rows, alpha)
    assert binom.sf(right - 1, rows, bound) == pytest.approx(alpha, rel=1e-6)
    assert p_value(right, rows, bound) == pytest.approx(alpha, rel=1e-6)


def test_the_fewest_rows_are_those_of_the_textbook() -> None:
    """59 rows without an error promise 95 % at 95 %; one fewer does not."""
    assert fewest_rows(0.95, 0.05) == 59
    assert p_value(59, 59, 0.95) <= 0.05
    assert p_value(58, 58, 0.95) > 0.05
    assert precision_bound(0, 10, 0.05) == 0.0
    assert p_value(0, 10, 0.5) == p_value(0, 0, 0.5) == 1.0


def test_the_lowest_threshold_that_passes_is_found() -> None:
    """It goes down while tests pass, and equal confidences count together."""
    rows = predictions([True] * 60 + [False] * 40)
    assert lowest_passed([sequence(0.5, 0.41, 0.3, 0.01)], rows, 0.9) == [0.41]


def test_a_failed_test_ends_its_group() -> None:
    """What comes after a failure is not tried, though it would pass."""
    rows = predictions([False, *[True] * 99])
    assert lowest_passed([sequence(0.01)], rows, 0.9) == [0.01]
    assert lowest_passed([sequence(0.8, 0.01)], rows, 0.9) == [None]


def test_a_failed_start_costs_only_its_own_share_of_alpha() -> None:
    """Two starts share the error probability: the failure of the upper one does not take the share of the lower one."""
    rows = predictions([False, *[True] * 99])
    two = TestSequence(BOTH, np.array([0.8, 0.4, 0.01]), np.array([0.025, 0.0, 0.025]))
    assert lowest_passed([two], rows, 0.9) == [0.01]
    alone = TestSequence(BOTH, np.array([0.8, 0.4, 0.01]), np.array([0.05, 0.0, 0.0]))
    assert lowest_passed([alone], rows, 0.9) == [None]


def test_a_passed_test_adds_its_alpha_to_the_next_start() -> None:
    """A later start may use the error probability of an earlier passed test beside its own."""
    rows = predictions([True] * 45 + [False] * 4 + [True] * 41)
    assert 0.025 < p_value(86, 90, 0.9) <= 0.05
    pair = TestSequence(BOTH, np.array([0.57, 0.05]), np.array([0.025, 0.025]))
    assert lowest_passed([pair], rows, 0.9) == [0.05]
    alone = TestSequence(BOTH, np.array([0.05]), np.array([0.025]))
    assert lowest_passed([alone], rows, 0.9) == [None]


def test_a_group_that_passed_all_tests_hands_its_alpha_on() -> None:
    """Where the first group passes to its end the second may use both shares; where it fails, only its own."""
    first, second = (np.arange(2) == number for number in range(2))
    good, bad, other = predictions([True] * 60), predictions([False] * 60), predictions([True] * 45, predicted=1)
    sequences = [sequence(0.4, alpha=0.004, labels=first), sequence(0.5, alpha=0.006, labels=second)]
    assert p_value(45, 45, 0.9) == pytest.approx(0.9**45)  # .0087: over .006, under .01

    def both(a: TopPredictions) -> TopPredictions:
        pairs = zip(
            (a.predicted, a.confidence, a.correct), (other.predicted, other.confidence, other.correct), strict=True
        )
        return TopPredictions(*(np.concatenate(pair) for pair in pairs))

    assert lowest_passed(sequences, both(good), 0.9) == [0.4, 0.5]
    assert lowest_passed(sequences, both(bad), 0.9) == [None, None]


@pytest.mark.parametrize("thresholds", [(), (0.9,)])
def test_no_rows_or_no_thresholds_prove_nothing(thresholds: tuple[float, ...]) -> None:
    """A group without predicted rows has no threshold."""
    assert lowest_passed([sequence(*thresholds)], predictions([]), 0.9) == [None]
