"""Two sets of answers to the same rows, held against each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from models.scoring import Candidate, FieldVerdict, Outcome, Reason
from training.evaluation.bundle_answers import NO_LABEL, Verdicts, verdicts_of
from training.evaluation.metrics import reliability_bins
from training.evaluation.paired_bootstrap import FIGURES, LABEL_FIGURES, Difference, pair

LABELS = 4
ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.floats(0, 1), st.sampled_from(list(Outcome))),
    min_size=1,
    max_size=60,
)


def answers(predicted: list[int], confidence: float = 0.9, outcome: Outcome = Outcome.ROUTE) -> Verdicts:
    rows = len(predicted)
    return Verdicts(np.array(predicted), np.full(rows, confidence), np.full(rows, outcome.value))


@settings(deadline=None, max_examples=40)
@given(ROWS)
def test_the_figures_are_those_of_an_evaluation(rows: list[tuple[int, int, float, Outcome]]) -> None:
    """Accuracy, macro-F1, ECE and what is routed agree with scikit-learn and with `metrics`, whatever the answers."""
    wanted, predicted, confidence, outcome = (np.array(column) for column in zip(*rows, strict=True))
    side = Verdicts(predicted, confidence.astype(float), np.array([str(value.value) for *_, value in rows]))
    paired = pair(side, side, wanted, LABELS, 1)
    found = {name: paired.differences(figure)[0].champion for name, figure in FIGURES.items()}
    bins = reliability_bins(side.confidence, predicted == wanted)
    routed = outcome == Outcome.ROUTE
    assert found["accuracy"] == pytest.approx(accuracy_score(wanted, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(wanted, predicted, average="macro", zero_division=0))
    assert found["ece"] == pytest.approx(sum(abs(b.confidence - b.accuracy) * b.rows for b in bins) / len(rows))
    assert found["routed"] == pytest.approx(routed.mean())
    precision = (predicted == wanted)[routed].mean() if routed.any() else None
    assert found["route_precision"] == (None if precision is None else pytest.approx(precision))


def test_equal_answers_show_no_difference() -> None:
    """A bundle against itself: every difference is 0, and so is every interval."""
    side = answers([0, 1, 2, 3] * 20)
    paired = pair(side, side, np.array([0, 1, 2, 0] * 20), LABELS, 1)
    for figure in FIGURES.values():
        (found,) = paired.differences(figure)
        assert (found.difference, found.low, found.high, found.sign) == (0, 0, 0, 0)


def test_an_interval_is_as_wide_as_the_normal_one() -> None:
    """On 1,000 rows of which 60 got better and 20 worse, the interval is McNemar's, to a tenth."""
    wanted = np.zeros(1000, dtype=np.int64)
    before, after = np.zeros(1000, dtype=np.int64), np.zeros(1000, dtype=np.int64)
    before[:60], after[60:80] = 1, 1
    (found,) = pair(answers(before.tolist()), answers(after.tolist()), wanted, LABELS, 1).differences(
        FIGURES["accuracy"]
    )
    half = 1.96 * np.sqrt((80 - 40**2 / 1000) / 1000**2)
    assert found.difference == pytest.approx(0.04)
    assert found.low == pytest.approx(0.04 - half, abs=0.1 * half)
    assert found.high == pytest.approx(0.04 + half, abs=0.1 * half)
    assert found.sign == 1


def test_the_rows_are_drawn_in_pairs() -> None:
    """Rows that are hard for both cancel out: two sides that differ in one row of 500 have a narrow interval."""
    wanted = np.zeros(500, dtype=np.int64)
    before = np.arange(500) % 2
    after = before.copy()
    after[0] = 1
    (found,) = pair(answers(before.tolist()), answers(after.tolist()), wanted, LABELS, 1).differences(
        FIGURES["accuracy"]
    )
    assert found.low is not None
    assert found.low >= -0.01  # drawn apart, it would reach ± 0.06
    assert found.sign == 0


def test_a_label_of_few_rows_is_no_proof() -> None:
    """One row of a label lost is no fall; thirty of thirty are."""
    for rows, sign in ((1, 0), (30, -1)):
        wanted = np.array([0] * rows + [1] * 100)
        before, after = wanted.copy(), wanted.copy()
        after[:rows] = 1
        recalls = pair(answers(before.tolist()), answers(after.tolist()), wanted, LABELS, 1).differences(
            LABEL_FIGURES["recall"]
        )
        assert recalls[0].difference == -1
        assert recalls[0].sign == sign
        assert recalls[3] == Difference(champion=None, challenger=None, difference=None, low=None, high=None)


def test_the_same_seed_gives_the_same_intervals() -> None:
    """A comparison can be repeated, and another seed draws other rows."""
    drawn = np.random.default_rng(0).integers(0, 4, size=(3, 997))
    sides = answers(drawn[0].tolist()), answers(drawn[1].tolist())
    first, again, other = (pair(*sides, drawn[2], LABELS, seed).differences(FIGURES["macro_f1"]) for seed in (1, 1, 2))
    assert first == again != other


def test_a_row_without_an_answer_is_wrong() -> None:
    """Scores that are no numbers give no label: wrong, never routed, and no other label's fault."""
    none = FieldVerdict(Outcome.REVIEW, Reason.INVALID_SCORES, ())
    sure = FieldVerdict(Outcome.ROUTE, Reason.CONFIDENT, (Candidate("b", 0.9),))
    side = verdicts_of([none, sure], ["a", "b"])
    assert side.predicted.tolist() == [NO_LABEL, 1]
    assert side.routed.tolist() == [False, True]
    (accuracy,) = pair(side, side, np.array([1, 1]), 2, 1).differences(FIGURES["accuracy"])
    assert accuracy.champion == 0.5
