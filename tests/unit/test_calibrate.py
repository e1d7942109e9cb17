"""Temperature and thresholds from calibration rows."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binom

from models.fields import Field
from training.certainty.calibrate import calibrate_field, fit_temperature, lowest_confidence, precision_bound
from training.certainty.promise import fewest_rows
from training.data.split import MISSING
from training.recipe import PromiseRecipe

DOUBT = 0.05
FIELD = Field("department", ("a", "b", "c"), 0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_a_known_population_is_found(temperature: float) -> None:
    """Logits that are too sure by a known factor are cooled by that factor."""
    generator = np.random.default_rng(1)
    honest = generator.normal(0, 2, (4000, 3))
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(3, p=row) for row in shares])
    found = fit_temperature((honest * temperature).astype(np.float32), labels)
    assert found == pytest.approx(temperature, rel=0.1)


def test_rows_without_the_field_do_not_touch_the_temperature() -> None:
    """A row whose value is missing counts neither for the temperature nor, were all missing, against 1."""
    logits = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 9]], dtype=np.float32)
    some = np.array([0, 0, MISSING])
    assert fit_temperature(logits, some) == fit_temperature(logits[:2], some[:2])
    assert fit_temperature(logits, np.full(3, MISSING)) == 1.0


@given(st.integers(1, 300), st.floats(0.001, 0.5), st.data())
def test_the_bound_is_the_exact_binomial_one(rows: int, doubt: float, data: st.DataObject) -> None:
    """At the bound itself, so many right answers or more have just the probability `doubt`."""
    right = data.draw(st.integers(1, rows))
    bound = precision_bound(right, rows, doubt)
    assert binom.sf(right - 1, rows, bound) == pytest.approx(doubt, rel=1e-6)


def test_the_fewest_rows_are_those_of_the_textbook() -> None:
    """59 rows without an error promise 95 % at 95 %; one fewer does not."""
    assert fewest_rows(0.95, 0.05) == 59
    assert precision_bound(59, 59, 0.05) >= 0.95
    assert precision_bound(58, 58, 0.05) < 0.95
    assert precision_bound(0, 10, 0.05) == 0.0


def sloped(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return confidence


def flat_below(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full_like(confidence, 0.89)


def dip_at_the_top(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(confidence > 0.95, 0.8, 0.97)


def cliff(confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(confidence > 0.8, 0.99, 0.3)


@pytest.mark.parametrize("truth", [sloped, flat_below, dip_at_the_top, cliff])
@pytest.mark.parametrize("levels", [None, 12])
def test_the_promise_fails_at_most_as_often_as_it_says(
    truth: Callable[[NDArray[np.float64]], NDArray[np.float64]], levels: int | None
) -> None:
    """Over many draws from a known population, the true precision above the threshold is too low in at most 5 %."""
    generator = np.random.default_rng(5)
    draws, rows, precision = 500, 300, 0.9
    grid = np.linspace(0.5, 1, 20_001) if levels is None else np.linspace(0.5, 1, levels)
    right = truth(grid)
    failed = 0
    for _ in range(draws):
        picked = generator.integers(0, len(grid), rows)
        threshold = lowest_confidence(grid[picked], generator.random(rows) < right[picked], precision, DOUBT)
        failed += threshold is not None and right[grid >= threshold].mean() < precision
    assert failed <= binom.ppf(0.999, draws, DOUBT)


def test_a_clear_population_gets_a_threshold() -> None:
    """The promise is not bought by never promising: where all are right, nearly all are accepted."""
    generator = np.random.default_rng(2)
    found = lowest_confidence(generator.uniform(0.3, 1, 2000), np.ones(2000, bool), 0.95, DOUBT)
    assert found is not None
    assert found < 0.31


def test_one_error_among_the_surest_does_not_end_it() -> None:
    """A mislabelled row at the very top costs little: several starting places share the doubt."""
    confidence = np.linspace(1, 0.5, 1000)
    correct = np.ones(1000, bool)
    correct[0] = False
    found = lowest_confidence(confidence, correct, 0.95, DOUBT)
    assert found is not None
    assert found < 0.55


@given(
    st.lists(st.tuples(st.sampled_from([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]), st.booleans()), max_size=400),
    st.randoms(use_true_random=False),
)
def test_a_threshold_is_a_rows_confidence_and_does_not_depend_on_their_order(
    rows: list[tuple[float, bool]], random: object
) -> None:
    """Ties are accepted together: the threshold is one that occurs, it passes the bound, and order changes nothing."""
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = {
        lowest_confidence(np.array([c for c, _ in some]), np.array([r for _, r in some], dtype=bool), 0.7, DOUBT)
        for some in (rows, shuffled)
    }
    assert len(found) == 1
    threshold = found.pop()
    if threshold is not None:
        accepted = [right for confidence, right in rows if confidence >= threshold]
        assert threshold in {confidence for confidence, _ in rows}
        assert precision_bound(sum(accepted), len(accepted), DOUBT) >= 0.7


def test_a_failed_test_ends_its_sequence() -> None:
    """Where each sequence fails at its start, no later row count is tried, though all rows together would pass."""
    rows, precision, share = 300, 0.9, DOUBT / 4
    correct = np.ones(rows, bool)
    for start in (fewest_rows(precision, share) * multiple for multiple in (1, 2, 4)):
        while precision_bound(int(correct[:start].sum()), start, share) >= precision:
            correct[np.flatnonzero(correct[:start])[-1]] = False
    assert precision_bound(int(correct.sum()), rows, share) >= precision
    assert lowest_confidence(np.linspace(1, 0.5, rows), correct, precision, DOUBT) is None


@pytest.mark.parametrize("rows", [0, 1, 58])
def test_too_few_rows_promise_nothing(rows: int) -> None:
    """Fewer rows than could ever pass give no threshold, however right they are."""
    assert lowest_confidence(np.ones(rows), np.ones(rows, bool), 0.95, DOUBT) is None


def calibration_rows(counts: dict[int, tuple[int, int]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rows predicted as a label, so many right and so many wrong."""
    logits, labels = [], []
    for label, (right, wrong) in counts.items():
        row = [0.0, 0.0, 0.0]
        row[label] = 4.0
        logits += [row] * (right + wrong)
        labels += [label] * right + [(label + 1) % 3] * wrong
    return np.array(logits, dtype=np.float32), np.array(labels, dtype=np.int64)


def test_a_label_with_rows_enough_has_a_threshold_of_its_own() -> None:
    """A label whose own rows carry the promise is not pooled; one with too few shares the rest's."""
    logits, labels = calibration_rows({0: (400, 0), 1: (200, 0), 2: (10, 0)})
    entry = calibrate_field(FIELD, logits, labels, PromiseRecipe(route_precision=0.9))
    assert [label.name for label in entry.labels] == ["a", "b", "c"]
    assert [label.pooled for label in entry.labels] == [False, False, True]
    assert [label.calibration_rows for label in entry.labels] == [400, 200, 10]
    assert entry.labels[2].route is None  # ten rows promise nothing, and no other label needed the pool
    assert entry.promise.route_precision == 0.9


def test_scarce_labels_carry_the_promise_together() -> None:
    """Labels too scarce alone share one threshold that rests on all their rows."""
    logits, labels = calibration_rows({0: (45, 0), 1: (45, 0), 2: (45, 0)})
    entry = calibrate_field(FIELD, logits, labels, PromiseRecipe())
    assert len({label.route for label in entry.labels}) == 1
    assert all(label.pooled and label.route is not None for label in entry.labels)


def test_a_label_that_is_mostly_wrong_is_never_routed() -> None:
    """A label whose predictions are wrong gets no route threshold, while a good one keeps its own."""
    logits, labels = calibration_rows({0: (300, 0), 1: (100, 100)})
    entry = calibrate_field(FIELD, logits, labels, PromiseRecipe())
    assert entry.labels[0].route is not None
    assert entry.labels[1].route is None


def test_a_field_nobody_filled_in_promises_nothing() -> None:
    """Without one calibration row of a field there is no threshold and the temperature stays 1."""
    logits = np.zeros((5, 3), dtype=np.float32)
    entry = calibrate_field(FIELD, logits, np.full(5, MISSING), PromiseRecipe())
    assert entry.temperature == 1.0
    assert all((label.route, label.suggest, label.calibration_rows) == (None, None, 0) for label in entry.labels)
