"""Validation and calibration rows → a field's entry: temperature, scope, thresholds and promise."""

from dataclasses import astuple

import numpy as np
import pytest

from models.bundle.manifest import FieldEntry
from models.fields import Field
from models.scoring import Outcome
from tests.support.predictions import FIELD, population, scored
from training.calibration.calibrate import calibrate_field, route_level
from training.calibration.precision_curve import promise_curve
from training.calibration.predictions import Scored, outcomes_of
from training.calibration.temperature import fit_temperature
from training.calibration.threshold_tests import precision_bound
from training.data.prepared import MISSING
from training.recipe import EffectRecipe, PromiseRecipe, Recipe

OPEN = {"scope_refused": 0.0}


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
    """A row without a label does not change the temperature; without any label the temperature is 1."""
    logits = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 9]], dtype=np.float32)
    some = np.array([0, 0, MISSING])
    assert fit_temperature(logits, some) == fit_temperature(logits[:2], some[:2])
    assert fit_temperature(logits, np.full(3, MISSING)) == 1.0


def rows(counts: dict[int, tuple[int, int]]) -> Scored:
    """Rows predicted as a label, so many right and so many wrong, all equally sure."""
    logits, labels = [], []
    for label, (right, wrong) in counts.items():
        row = [0.0, 0.0, 0.0]
        row[label] = 4.0
        logits += [row] * (right + wrong)
        labels += [label] * right + [(label + 1) % 3] * wrong
    return Scored(np.array(logits, dtype=np.float32), np.array(labels, dtype=np.int64))


def with_novelty(rows: Scored, score: float) -> Scored:
    """The rows with the same familiarity and similarity for all."""
    scores = np.full((len(rows.labels), 2), score, np.float32)
    return Scored(np.concatenate([rows.logits, scores], axis=1), rows.labels)


def entry(validation: Scored, calibration: Scored, **promise: object) -> FieldEntry:
    recipe = Recipe(promise=PromiseRecipe.model_validate(OPEN | promise))
    return calibrate_field(FIELD, validation, calibration, recipe, "exact")


def test_each_label_shows_whether_its_threshold_is_pooled() -> None:
    """Large labels have own thresholds; a rare one alone in the pool has none. Rows are calibration rows."""
    found = entry(rows({0: (300, 0), 1: (150, 0), 2: (5, 0)}), rows({0: (400, 0), 1: (200, 0), 2: (10, 0)}))
    assert [label.name for label in found.labels] == ["a", "b", "c"]
    assert [label.calibration_rows for label in found.labels] == [400, 200, 10]
    assert [label.route is None for label in found.labels] == [False, False, True]
    assert not found.labels[0].pooled
    assert not found.labels[1].pooled


def test_scarce_labels_carry_the_promise_together() -> None:
    """Labels too scarce alone share one threshold that rests on all their rows."""
    found = entry(rows({0: (25, 0), 1: (25, 0), 2: (25, 0)}), rows({0: (45, 0), 1: (45, 0), 2: (45, 0)}))
    assert len({label.route for label in found.labels}) == 1
    assert all(label.pooled and label.route is not None for label in found.labels)


def test_a_label_that_fails_its_own_test_is_not_automatic() -> None:
    """Calibration rows that contradict the validation rows leave the label without a threshold, and no other."""
    found = entry(rows({0: (300, 0), 1: (300, 0)}), rows({0: (300, 0), 1: (200, 100)}))
    assert found.labels[0].route is not None
    assert (found.labels[1].route, found.labels[1].pooled) == (None, False)


def test_strict_routes_no_label_without_its_own_promise() -> None:
    """What auto pools, strict leaves to people."""
    validation, calibration = rows({0: (300, 0), 1: (40, 0), 2: (40, 0)}), rows({0: (400, 0), 1: (50, 0), 2: (50, 0)})
    assert all(label.route is not None for label in entry(validation, calibration).labels)
    strict = entry(validation, calibration, per_label="strict")
    assert [label.route is None for label in strict.labels] == [False, True, True]


@pytest.mark.parametrize("which", ["validation", "calibration", "both"])
def test_a_field_without_labels_promises_nothing(which: str) -> None:
    """Without validation rows there is no plan, without calibration rows no proof: no threshold either way."""
    full, empty = rows({0: (200, 0), 1: (200, 0)}), Scored(np.zeros((5, 3), np.float32), np.full(5, MISSING))
    found = entry(full if which == "calibration" else empty, full if which == "validation" else empty)
    assert all((label.route, label.suggest) == (None, None) for label in found.labels)
    assert (found.promise.achieved_coverage, found.promise.achieved_precision_low) == (0, None)


def test_requested_and_achieved_stand_side_by_side() -> None:
    """The promise says what was asked, and what the calibration rows gave."""
    found = entry(rows({0: (300, 3), 1: (300, 3)}), rows({0: (400, 4), 1: (400, 4)}), per_label="off").promise
    assert (found.route_precision, found.aim, found.per_label) == (0.95, "precision", "off")
    assert found.achieved_coverage == 1
    assert found.achieved_precision == pytest.approx(800 / 808)
    assert found.achieved_precision_low == 0.95


def test_cost_mode_routes_where_a_mistake_costs_less_than_a_person() -> None:
    """The level follows from minutes alone; what that achieves is the bound on the calibration rows."""
    effect = EffectRecipe(triage_minutes=3, suggestion_minutes=1, misroute_minutes=20, manual_precision=0.9)
    assert route_level(effect) == pytest.approx(0.85)
    assert route_level(EffectRecipe(misroute_minutes=1)) == 0.0
    people, generator = population(), np.random.default_rng(2)
    validation, calibration = (scored(people.draw(generator, count)) for count in (400, 800))
    promise = PromiseRecipe.model_validate(OPEN | {"aim": "cost"})
    found = calibrate_field(FIELD, validation, calibration, Recipe(promise=promise, effect=effect), "exact")
    assert {label.route for label in found.labels} == {route_level(effect)}
    outcomes = outcomes_of(calibration.logits, found.scoring(FIELD)) == Outcome.ROUTE
    right = calibration.logits[outcomes].argmax(axis=1) == calibration.labels[outcomes]
    assert found.promise.achieved_precision == pytest.approx(right.mean())
    assert found.promise.achieved_precision_low == pytest.approx(
        precision_bound(int(right.sum()), len(right), 1 - promise.confidence)
    )


def test_only_the_department_has_a_scope_and_its_promise_counts_what_passes() -> None:
    """Rows that look like nothing are refused, and do not count against the routed ones."""
    people, generator = population(), np.random.default_rng(2)
    validation, ordinary = (with_novelty(scored(people.draw(generator, count)), 0.0) for count in (1000, 2000))
    strange = with_novelty(Scored(np.zeros((100, 3), dtype=np.float32), np.zeros(100, dtype=np.int64)), -5.0)
    calibration = Scored(*(np.concatenate(pair) for pair in zip(astuple(ordinary), astuple(strange), strict=True)))
    recipe = Recipe(promise=PromiseRecipe(scope_refused=0.03))
    found = calibrate_field(FIELD, validation, calibration, recipe, "exact")
    assert found.scope is not None
    assert set(outcomes_of(strange.logits, found.scoring(FIELD))) == {Outcome.REVIEW}
    assert sum(label.calibration_rows for label in found.labels) >= 1950
    assert calibrate_field(Field("priority", FIELD.labels, 0), validation, calibration, recipe, "exact").scope is None


def test_a_higher_promise_routes_less() -> None:
    """The curve a person chooses the target by: coverage falls with the target, precision holds it."""
    people, generator = population(), np.random.default_rng(6)
    parts = [scored(people.draw(generator, count)) for count in (500, 1000, 4000)]
    curve = promise_curve(FIELD, *parts, Recipe(promise=PromiseRecipe.model_validate(OPEN | {"per_label": "off"})))
    coverage = [point.coverage for point in curve]
    assert coverage == sorted(coverage, reverse=True)
    assert coverage[0] > 0.9
    assert all(point.precision is None or point.precision > point.target - 0.01 for point in curve)
