"""What is tested, decided from the validation rows."""

import numpy as np
import pytest

from training.calibration.predictions import TopPredictions
from training.calibration.threshold_plan import plan_routes
from training.calibration.threshold_tests import TestSequence
from training.recipe import PromiseRecipe


def predictions(*counts: tuple[int, int]) -> TopPredictions:
    """For each label so many right and so many wrong answers, the wrong ones the least sure."""
    predicted = np.concatenate([np.full(right + wrong, label) for label, (right, wrong) in enumerate(counts)])
    correct = np.concatenate([np.arange(right + wrong) < right for right, wrong in counts])
    confidence = np.concatenate([np.linspace(0.99, 0.5, right + wrong) for right, wrong in counts])
    return TopPredictions(predicted.astype(np.int64), confidence, correct)


def groups(sequences: tuple[TestSequence, ...]) -> list[list[int]]:
    return [np.flatnonzero(sequence.labels).tolist() for sequence in sequences]


def plan(mode: str, *counts: tuple[int, int], rows: int = 1000) -> tuple[TestSequence, ...]:
    return plan_routes(len(counts), predictions(*counts), rows, PromiseRecipe.model_validate({"per_label": mode}))


def test_labels_with_enough_rows_have_a_test_of_their_own() -> None:
    """Two large labels stand alone, the scarce ones share a pool that is tested last."""
    found = plan("auto", (300, 0), (150, 0), (15, 0), (15, 0))
    assert sorted(groups(found)[:2]) == [[0], [1]]
    assert groups(found)[2] == [2, 3]


def test_strict_has_no_pool_and_off_has_nothing_else() -> None:
    """strict: only labels with an own promise are tested; off: all labels together."""
    assert sorted(groups(plan("strict", (300, 0), (150, 0), (15, 0)))) == [[0], [1]]
    assert groups(plan("off", (300, 0), (150, 0), (15, 0))) == [[0, 1, 2]]
    assert plan("strict", (10, 0), (10, 0), rows=20) == ()


def test_the_shares_add_up_to_the_whole_alpha() -> None:
    """However many groups there are, together they may fail as often as one promise."""
    for mode in ("auto", "strict", "off"):
        assert sum(each.alphas.sum() for each in plan(mode, (300, 0), (150, 0), (15, 0))) == pytest.approx(0.05)


def test_a_label_that_is_often_wrong_stays_in_the_pool() -> None:
    """A test that would probably fail is not tried at the others' expense."""
    assert groups(plan("auto", (300, 0), (100, 60), (15, 0))) == [[0], [1, 2]]


def test_tests_start_where_they_are_likeliest_to_pass() -> None:
    """An early mistake among the surest is no place to start at; thresholds fall from there to the least sure row."""
    rows = predictions((300, 0))
    rows.correct[0] = False
    (found,) = plan_routes(1, rows, 600, PromiseRecipe(per_label="off"))
    starts = np.flatnonzero(found.alphas)
    assert int((rows.confidence >= found.thresholds[starts[0]]).sum()) > 100
    assert found.alphas[starts] == pytest.approx([0.05 / len(starts)] * len(starts))
    assert (np.diff(found.thresholds) < 0).all()
    assert rows.confidence.min() - 0.001 <= found.thresholds[-1] < rows.confidence.min()


def test_without_validation_rows_there_is_nothing_to_try() -> None:
    """No rows, no thresholds."""
    (found,) = plan_routes(3, predictions((0, 0), (0, 0), (0, 0)), 100, PromiseRecipe())
    assert len(found.thresholds) == 0


def test_no_threshold_lies_on_a_rows_own_confidence() -> None:
    """Rounding on another processor moves a confidence by 1e-7: it must not turn a verdict."""
    rows = predictions((300, 5))
    (found,) = plan_routes(1, rows, 600, PromiseRecipe(per_label="off"))
    assert np.abs(found.thresholds[:, None] - rows.confidence[None, :]).min() > 1e-6


def test_too_few_rows_have_one_start_with_the_whole_alpha() -> None:
    """59 calibration rows can prove .95 at 95 % when they need not share it."""
    (found,) = plan_routes(1, predictions((60, 0)), 60, PromiseRecipe(per_label="off"))
    assert found.alphas.max() == pytest.approx(0.05)
