"""Mail out of scope: the bounds set from ordinary mail."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fields import Field
from models.scoring import FieldScoring, Threshold, in_scope
from training.calibration.out_of_scope import fit_scope

FIELD = Field("department", ("a", "b"), 0)


def refused(logits: np.ndarray, share: float) -> float:
    """The share of the rows below the bounds that these rows set."""
    entry = fit_scope(logits, FIELD, share)
    assert entry is not None
    scoring = FieldScoring(FIELD, 1.0, (Threshold(None, None, True),) * 2, entry.bounds())
    return float((~in_scope(logits, scoring)).mean())


@pytest.mark.parametrize("rows", [30, 200, 1000])
def test_ordinary_mail_is_refused_no_more_often_than_stated(rows: int) -> None:
    """Most of the allowed share is used where there are enough rows; few rows refuse none of themselves."""
    logits = np.random.default_rng(4).normal(size=(rows, 4)).astype(np.float32)
    found = refused(logits, 0.02)
    assert found <= 0.02
    assert found >= (0.015 if rows == 1000 else 0)


def test_without_rows_or_share_nothing_is_refused() -> None:
    assert fit_scope(np.zeros((0, 4), np.float32), FIELD, 0.02) is None
    assert fit_scope(np.zeros((50, 4), np.float32), FIELD, 0.0) is None


@pytest.mark.parametrize("column", [2, 3])
def test_each_score_alone_can_refuse(column: int) -> None:
    """A row far below all others in familiarity or in similarity."""
    logits = np.random.default_rng(4).normal(size=(500, 4)).astype(np.float32)
    entry = fit_scope(logits, FIELD, 0.02)
    assert entry is not None
    strange = np.zeros((1, 4), np.float32)
    scoring = FieldScoring(FIELD, 1.0, (Threshold(None, None, True),) * 2, entry.bounds())
    assert in_scope(strange, scoring).all()
    strange[0, column] = -20
    assert not in_scope(strange, scoring).any()


@settings(max_examples=30)
@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=4, max_size=300))
def test_rows_at_the_bound_are_accepted(scores: list[float]) -> None:
    """Equal scores never refuse more than allowed."""
    logits = np.zeros((len(scores), 4), np.float32)
    logits[:, 2] = logits[:, 3] = scores
    assert refused(logits, 0.03) <= 0.03


def test_a_few_rows_of_a_language_do_not_make_it_familiar() -> None:
    """Four of a thousand rows lie below the bound themselves, and so does similar mail."""
    logits = np.random.default_rng(4).normal(size=(1000, 4)).astype(np.float32)
    logits[:4, 2] = -20
    entry = fit_scope(logits, FIELD, 0.02)
    assert entry is not None
    assert entry.language > -19
