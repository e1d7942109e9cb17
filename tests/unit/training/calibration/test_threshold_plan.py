"""The plan of tests, made from the validation rows."""

import numpy as np
import pytest

from training.calibration.predictions import Graded
from training.calibration.threshold_plan import plan_routes
from training.calibration.threshold_tests import TestSequence
from training.recipe import PromiseRecipe


def graded(*counts: tuple[int, int]) -> Graded:
    """For each label so many right and so many wrong answers, the wrong ones with the lowest confidence."""
    predicted = np.concatenate([np.full(right + wrong, label) for label, (right, wrong) in enumerate(counts)])
    correct = np.concatenate([np.arange(right + wrong) < right for right, wrong in counts])
    confidence = np.concatenate([np.linspace(0.99, 0.5, right + wrong) for right, wrong in counts])
    return Graded(predicted.astype(np.int64), confidence, correct)


def groups(sequences: tuple[TestSequence, ...]) -> list[list[int]]:
    return [np.flatnonzero(sequence.labels).tolist() for sequence in sequences]


def plan(mode: str, *counts: tuple[int, int], rows: int = 1000) -> tuple[TestSequence, ...]:
    return plan_routes(len(counts), graded(*counts), rows, PromiseRecipe.model_validate({"per_label": mode}))


def test_labels_with_enough_rows_get_their_own_test() -> None:
    """Two large labels have their own test, the scarce ones share a pool that is tested last."""
    found = plan("auto", (300, 0), (150, 0), (15, 0), (15, 0))
    assert sorted(groups(found)[:2]) == [[0], [1]]
    assert groups(found)[2] == [2, 3]


def test_strict_has_no_pool_and_off_has_only_one() -> None:
    """strict: only labels with their own promise are tested; off: all labels together."""
    assert sorted(groups(plan("strict", (300, 0), (150, 0), (15, 0)))) == [[0], [1]]
    assert groups(plan("off", (300, 0), (150, 0), (15, 0))) == [[0, 1, 2]]
    assert plan("strict", (10, 0), (10, 0), rows=20) == ()


def test_the_shares_add_up_to_the_total_error_probability() -> None:
    """With any number of groups, all together fail as often as one promise may."""
    for mode in ("auto", "strict", "off"):
        assert sum(each.doubts.sum() for each in plan(mode, (300, 0), (150, 0), (15, 0))) == pytest.approx(0.05)


def test_a_label_with_many_errors_stays_in_the_pool() -> None:
    """A test that would probably fail is not run at the other groups' expense."""
    assert groups(plan("auto", (300, 0), (100, 60), (15, 0))) == [[0], [1, 2]]


def test_tests_start_where_they_are_most_likely_to_pass() -> None:
    """Not at an early error among the most confident rows; thresholds fall from there to the least confident row."""
    rows = graded((300, 0))
    rows.correct[0] = False
    (found,) = plan_routes(1, rows, 600, PromiseRecipe(per_label="off"))
    starts = np.flatnonzero(found.doubts)
    assert int((rows.confidence >= found.thresholds[starts[0]]).sum()) > 100
    assert found.doubts[starts] == pytest.approx([0.05 / len(starts)] * len(starts))
    assert (np.diff(found.thresholds) < 0).all()
    assert rows.confidence.min() - 0.001 <= found.thresholds[-1] < rows.confidence.min()


def test_without_validation_rows_there_is_no_plan() -> None:
    (found,) = plan_routes(3, graded((0, 0), (0, 0), (0, 0)), 100, PromiseRecipe())
    assert len(found.thresholds) == 0


def test_no_threshold_equals_a_rows_confidence() -> None:
    """Rounding on another processor changes a confidence by 1e-7, which must not change a verdict."""
    rows = graded((300, 5))
    (found,) = plan_routes(1, rows, 600, PromiseRecipe(per_label="off"))
    assert np.abs(found.thresholds[:, None] - rows.confidence[None, :]).min() > 1e-6


def test_few_rows_have_one_start_with_the_total_error_probability() -> None:
    """59 calibration rows can prove .95 at 95 % if they need not share it."""
    (found,) = plan_routes(1, graded((60, 0)), 60, PromiseRecipe(per_label="off"))
    assert found.doubts.max() == pytest.approx(0.05)
