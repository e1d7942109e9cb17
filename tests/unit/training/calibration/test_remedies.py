"""What would change a run that routes nothing, in numbers."""

import numpy as np
import pytest

from models.fields import LabelSpace
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored
from training.calibration.remedies import Remedies, accepted_rows, find_remedies
from training.recipe import PromiseRecipe, Recipe

FIELD = LabelSpace.of({"department": ["a", "b"]}).department
RECIPE = Recipe(promise=PromiseRecipe(scope_refused=0))


def rows(count: int, wrong: float, seed: int) -> Scored:
    """Rows of two labels of which this share is wrong, however sure the model is."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    predicted = np.where(generator.random(count) < wrong, 1 - labels, labels)
    sure = generator.uniform(1, 4, count)
    logits = np.where(np.arange(2) == predicted[:, None], sure[:, None], 0).astype(np.float32)
    return Scored(logits, labels.astype(np.int64))


def remedies(count: int, wrong: float, *, tickets: int, later: bool = False) -> Remedies | None:
    planned, tested = rows(count, wrong, 1), rows(count, wrong, 2)
    entry = calibrate_field(FIELD, planned, tested, RECIPE, "exact")
    return find_remedies(entry.scoring(FIELD), planned, tested, RECIPE, tickets, calibration_only=later)


@pytest.mark.parametrize(("errors", "least", "most"), [(0.01, 120, 130), (0.02, 230, 240), (0.03, 590, 660)])
def test_the_rows_that_a_promise_takes_at_80_percent_power(errors: float, least: int, most: int) -> None:
    """Of .95 at 95 %: some 124, 234 and 601 accepted rows at a true precision of .99, .98 and .97."""
    assert least <= (accepted_rows(0.95, errors, 0.05) or 0) <= most


def test_no_number_of_rows_helps_a_model_that_is_wrong_too_often() -> None:
    assert accepted_rows(0.95, 0.05, 0.05) is None


def test_a_field_that_routes_needs_no_remedy() -> None:
    assert remedies(600, 0.01, tickets=3000) is None


def test_few_rows_are_told_how_many_are_missing() -> None:
    """Forty rows without a mistake prove .90, not .95: a lower promise or more tickets."""
    found = remedies(40, 0.0, tickets=200)
    assert found is not None
    assert found.lower_precision is not None
    assert found.lower_precision[0] < 0.95
    assert found.needed is not None
    assert found.needed > 200
    assert found.text.startswith("routes nothing: 40 calibration rows do not carry a promise of 0.95 with a confidence")
    assert f"about {found.needed - 200:,} more tickets would do" in found.text
    assert "a promise of" in found.text
    assert "\n" not in found.text


def test_later_rows_are_calibration_rows_for_the_most_part() -> None:
    """Where nothing trains, two thirds test: far fewer tickets do."""
    trained, later = (remedies(40, 0.0, tickets=60, later=each) for each in (False, True))
    assert trained is not None
    assert later is not None
    assert (later.needed or 0) < (trained.needed or 0) / 2


def test_a_model_that_is_wrong_too_often_is_told_so() -> None:
    found = remedies(300, 0.2, tickets=1500)
    assert found is not None
    assert found.needed is None
    assert "more tickets alone would not do" in found.text
