"""Figures of a field on some rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fields import Field
from models.scoring import FieldScoring, Outcome, Reason, Scope, Threshold, judge
from training.calibration.predictions import outcomes_of
from training.data.prepared import MISSING
from training.evaluation.metrics import OTHER, UNKNOWN, coverage_curve, field_figures, macro_f1, reliability_bins

FIELD = Field("priority", ("low", "high"), 1)
SCORING = FieldScoring(FIELD, 1.0, (Threshold(0.9, 0.6, False), Threshold(None, 0.6, True)))


def logits(*rows: tuple[float, float]) -> np.ndarray:
    """Logits of a wider label space, so that a wrong slice would be noticed."""
    return np.array([[99.0, low, high, -99.0] for low, high in rows], dtype=np.float32)


def test_figures_of_four_rows_are_those_computed_by_hand() -> None:
    """Accuracy, outcomes and confusions; a row without the field is left out."""
    found = field_figures(logits((5, 0), (5, 0), (0, 5), (0.1, 0), (0, 0)), np.array([0, 1, 1, 0, MISSING]), SCORING)
    assert found is not None
    assert (found.rows, found.accuracy) == (4, 0.75)
    outcomes = found.outcomes
    assert (outcomes.routed, outcomes.suggested, outcomes.reviewed) == (0.5, 0.25, 0.25)
    assert (outcomes.route_precision, outcomes.suggest_precision) == (0.5, 1.0)
    assert outcomes.route_precision_low == pytest.approx(0.0253, abs=1e-4)
    assert found.confused == (("high", "low", 1),)
    assert [(label.label, label.rows) for label in found.labels] == [("low", 2), ("high", 2)]
    assert found.labels[0].precision == pytest.approx(2 / 3)
    assert found.labels[0].recall == 1.0


def test_a_label_the_bundle_does_not_know_counts_as_wrong() -> None:
    """Any prediction is wrong for it, and it appears among the confusions."""
    found = field_figures(logits((5, 0), (5, 0)), np.array([UNKNOWN, 0]), SCORING)
    assert found is not None
    assert found.accuracy == 0.5
    assert found.confused == ((OTHER, "low", 1),)
    assert found.macro_f1 == pytest.approx(1 / 3)


def test_a_perfect_model_confuses_nothing() -> None:
    found = field_figures(logits((5, 0), (0, 5)), np.array([0, 1]), SCORING)
    assert found is not None
    assert (found.accuracy, found.macro_f1, found.confused) == (1.0, 1.0, ())


def test_nothing_routed_has_no_precision() -> None:
    """A share without rows is None, not 0 and not NaN."""
    found = field_figures(logits((0, 0)), np.array([0]), SCORING)
    assert found is not None
    assert found.outcomes.routed == 0
    assert found.outcomes.route_precision is found.outcomes.route_precision_low is None
    assert found.outcomes.suggest_precision is None


def test_a_field_without_labelled_rows_has_no_figures() -> None:
    assert field_figures(logits((1, 0)), np.array([MISSING]), SCORING) is None


def test_macro_f1_weights_every_label_alike() -> None:
    """A rare label that is never found lowers the mean as much as a frequent one."""
    assert macro_f1(np.array([0] * 9 + [1]), np.array([0] * 10)) == pytest.approx((18 / 19) / 2)


def test_outcomes_equal_those_of_the_service() -> None:
    """Each row is judged by its predicted label's thresholds, as in the service."""
    some = logits((5, 0), (0, 5), (1, 0), (0, 0.1))
    assert outcomes_of(some, SCORING).tolist() == [Outcome.ROUTE, Outcome.SUGGEST, Outcome.SUGGEST, Outcome.REVIEW]
    assert outcomes_of(some, SCORING).tolist() == [judge(row, [SCORING]).department.outcome for row in some]


def test_refused_rows_are_counted_as_in_the_service() -> None:
    """A row out of scope is reviewed at any confidence, and counted as refused."""
    scoring = FieldScoring(FIELD, 0.01, (Threshold(0.6, 0.5, False),) * 2, scope=Scope(-9, (0, 1), (0, 1), 0.75))
    some = np.concatenate([logits((5, 0), (0.5, 0)), np.zeros((2, 2), np.float32)], axis=1)
    found = field_figures(some, np.array([0, 0]), scoring)
    assert found is not None
    assert (found.outcomes.routed, found.outcomes.reviewed, found.outcomes.refused) == (0.5, 0.5, 0.5)
    assert judge(some[1], [scoring]).department.reason is Reason.OUT_OF_SCOPE


rows = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=300)


@given(rows)
def test_the_curve_ends_at_all_rows(drawn: list[tuple[float, bool]]) -> None:
    """Coverage rises to 1 as confidence falls, and the last precision is the accuracy."""
    confidence, correct = np.array([c for c, _ in drawn]), np.array([r for _, r in drawn])
    curve = coverage_curve(confidence, correct)
    coverages = [point.coverage for point in curve]
    assert coverages == sorted(set(coverages))
    assert (coverages[-1], curve[-1].precision) == (1.0, correct.mean())
    assert [point.confidence for point in curve] == sorted((point.confidence for point in curve), reverse=True)
    assert len(curve) <= 100


@given(rows)
def test_every_row_is_in_one_bin(drawn: list[tuple[float, bool]]) -> None:
    """The bins hold all rows once, including confidence 1, and the ECE from them is in 0…1."""
    confidence, correct = np.array([c for c, _ in drawn]), np.array([r for _, r in drawn])
    bins = reliability_bins(confidence, correct)
    assert sum(each.rows for each in bins) == len(drawn)
    assert 0 <= sum(abs(each.confidence - each.accuracy) * each.rows for each in bins) / len(drawn) <= 1


def test_a_confidence_of_1_is_in_the_last_bin() -> None:
    """It has no bin of its own."""
    assert [each.rows for each in reliability_bins(np.array([1.0, 0.99, 0.1]), np.array([True, False, True]))] == [1, 2]


def test_a_calibrated_model_has_no_calibration_error() -> None:
    """If a confidence of .75 is right three times in four, the error is 0; if never, it is .75."""
    quarter = float(np.log(3))
    honest = field_figures(logits(*[(quarter, 0)] * 4), np.array([0, 0, 0, 1]), SCORING)
    boastful = field_figures(logits(*[(quarter, 0)] * 4), np.array([1, 1, 1, 1]), SCORING)
    assert honest is not None
    assert boastful is not None
    assert honest.ece == pytest.approx(0, abs=1e-6)
    assert boastful.ece == pytest.approx(0.75, abs=1e-6)
