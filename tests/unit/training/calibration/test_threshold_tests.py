"""Tests of successively lower thresholds, in a fixed order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from training.calibration.predictions import Graded
from training.calibration.sample_size import fewest_rows
from training.calibration.threshold_tests import TestSequence, lowest_passed, p_value, precision_bound

BOTH = np.array([True, True])


def graded(correct: list[bool], predicted: int = 0) -> Graded:
    """Answers with confidences falling from 1, .01 apart."""
    rows = len(correct)
    return Graded(np.full(rows, predicted), 1 - np.arange(rows) / 100, np.array(correct, dtype=bool))


def sequence(*thresholds: float, doubt: float = 0.05, labels: np.ndarray = BOTH) -> TestSequence:
    """The first test gets the whole error probability."""
    return TestSequence(labels, np.array(thresholds), np.eye(1, len(thresholds)).ravel() * doubt)


@given(st.integers(1, 300), st.floats(0.001, 0.5), st.data())
def test_the_bound_is_the_exact_binomial_one(rows: int, doubt: float, data: st.DataObject) -> None:
    """At the bound itself, this many right answers or more have exactly the probability `doubt`."""
    right = data.draw(st.integers(1, rows))
    bound = precision_bound(right, rows, doubt)
    assert binom.sf(right - 1, rows, bound) == pytest.approx(doubt, rel=1e-6)
    assert p_value(right, rows, bound) == pytest.approx(doubt, rel=1e-6)


def test_59_rows_without_an_error_prove_95_percent() -> None:
    """The textbook figure at 95 %; 58 rows do not."""
    assert fewest_rows(0.95, 0.05) == 59
    assert p_value(59, 59, 0.95) <= 0.05
    assert p_value(58, 58, 0.95) > 0.05
    assert precision_bound(0, 10, 0.05) == 0.0
    assert p_value(0, 10, 0.5) == p_value(0, 0, 0.5) == 1.0


def test_the_lowest_threshold_that_passes_is_found() -> None:
    """Thresholds fall while tests pass, and rows of equal confidence count together."""
    rows = graded([True] * 60 + [False] * 40)
    assert lowest_passed([sequence(0.5, 0.41, 0.3, 0.01)], rows, 0.9) == [0.41]


def test_a_failed_test_ends_its_group() -> None:
    """Thresholds after a failure are not tried, even if they would pass."""
    rows = graded([False, *[True] * 99])
    assert lowest_passed([sequence(0.01)], rows, 0.9) == [0.01]
    assert lowest_passed([sequence(0.8, 0.01)], rows, 0.9) == [None]


def test_a_failed_sequence_leaves_the_next_one_its_own_share() -> None:
    """Two starts share the error probability: the upper one's failure costs only its own share."""
    rows = graded([False, *[True] * 99])
    two = TestSequence(BOTH, np.array([0.8, 0.4, 0.01]), np.array([0.025, 0.0, 0.025]))
    assert lowest_passed([two], rows, 0.9) == [0.01]
    alone = TestSequence(BOTH, np.array([0.8, 0.4, 0.01]), np.array([0.05, 0.0, 0.0]))
    assert lowest_passed([alone], rows, 0.9) == [None]


def test_a_passed_test_adds_its_share_to_the_next_start() -> None:
    """The next start may use the unspent share of the sequence above beside its own."""
    rows = graded([True] * 45 + [False] * 4 + [True] * 41)
    assert 0.025 < p_value(86, 90, 0.9) <= 0.05
    pair = TestSequence(BOTH, np.array([0.57, 0.05]), np.array([0.025, 0.025]))
    assert lowest_passed([pair], rows, 0.9) == [0.05]
    alone = TestSequence(BOTH, np.array([0.05]), np.array([0.025]))
    assert lowest_passed([alone], rows, 0.9) == [None]


def test_a_group_that_passes_hands_its_share_on() -> None:
    """If the first group passes to its end the second may use both shares; if it fails, only its own."""
    first, second = (np.arange(2) == number for number in range(2))
    good, bad, other = graded([True] * 60), graded([False] * 60), graded([True] * 45, predicted=1)
    sequences = [sequence(0.4, doubt=0.004, labels=first), sequence(0.5, doubt=0.006, labels=second)]
    assert p_value(45, 45, 0.9) == pytest.approx(0.9**45)  # .0087: over .006, under .01

    def both(a: Graded) -> Graded:
        pairs = zip(
            (a.predicted, a.confidence, a.correct), (other.predicted, other.confidence, other.correct), strict=True
        )
        return Graded(*(np.concatenate(pair) for pair in pairs))

    assert lowest_passed(sequences, both(good), 0.9) == [0.4, 0.5]
    assert lowest_passed(sequences, both(bad), 0.9) == [None, None]


@pytest.mark.parametrize("thresholds", [(), (0.9,)])
def test_without_rows_or_thresholds_nothing_is_proven(thresholds: tuple[float, ...]) -> None:
    """A group without predictions has no threshold."""
    assert lowest_passed([sequence(*thresholds)], graded([]), 0.9) == [None]
