"""The promise on populations with a known true precision."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from tests.support.predictions import LABELS, Population, population
from training.calibration.predictions import TopPredictions
from training.calibration.threshold_plan import plan_routes
from training.calibration.threshold_tests import lowest_passed
from training.recipe import PromiseRecipe

DRAWS = 200
MOST_BROKEN = binom.ppf(0.999, DRAWS, 0.05)
"""More broken promises than this have a chance of one in a thousand where 5 % is true."""

Levels = list[float | None]


def guaranteed(planned: TopPredictions, tested: TopPredictions, recipe: PromiseRecipe) -> Levels:
    """Each label's route level."""
    levels: Levels = [None] * LABELS
    sequences = plan_routes(LABELS, planned, len(tested), recipe)
    for sequence, level in zip(sequences, lowest_passed(sequences, tested, recipe.route_precision), strict=True):
        for label in np.flatnonzero(sequence.labels):
            levels[label] = level
    return levels


def naive(_: TopPredictions, tested: TopPredictions, recipe: PromiseRecipe) -> Levels:
    """The lowest level above which the calibration rows themselves are right often enough, without any bound."""
    order = np.argsort(-tested.confidence)
    share = np.cumsum(tested.correct[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= recipe.route_precision)
    return [float(tested.confidence[order][good[-1]]) if len(good) else None] * LABELS


def flat(right: float) -> Population:
    """Confidence says nothing."""
    base = population()
    return Population(base.predicted, base.confidence, np.full(len(base.right), right))


def bent(truth: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Population:
    base = population()
    return Population(base.predicted, base.confidence, truth(base.confidence))


POPULATIONS = {
    "sloped": population(),
    "just too low": flat(0.945),
    "a dip at the top": bent(lambda sure: np.where(sure > 0.99, 0.9, 0.98)),
    "a cliff": bent(lambda sure: np.where(sure > 0.8, 0.99, 0.3)),
}


def broken(
    people: Population, recipe: PromiseRecipe, method: Callable[..., Levels], rows: int = 500
) -> tuple[int, int, float]:
    """Of the draws: those with the overall promise broken, those with any group's broken, and the mean coverage."""
    generator = np.random.default_rng(11)
    overall = anyone = 0
    coverage = []
    for _ in range(DRAWS):
        planned, tested = people.draw(generator, rows // 2), people.draw(generator, rows)
        levels = method(planned, tested, recipe)
        own = [people.precision(levels, label) for label in range(LABELS)]
        groups = {level: people.precision([each if each == level else None for each in levels]) for level in levels}
        promised = own if recipe.per_label == "strict" else list(groups.values())
        overall += (people.precision(levels) or 1.0) < recipe.route_precision
        anyone += any(each is not None and each < recipe.route_precision for each in promised)
        lowest = np.array([np.inf if level is None else level for level in levels])
        coverage.append(float((people.confidence >= lowest[people.predicted]).mean()))
    return overall, anyone, float(np.mean(coverage))


@pytest.mark.parametrize("name", list(POPULATIONS))
@pytest.mark.parametrize("per_label", ["auto", "strict", "off"])
def test_promises_fail_together_at_most_as_often_as_they_say(name: str, per_label: str) -> None:
    """Over many draws, the overall promise, and any of a field's promises at all, is broken in at most 5 %."""
    recipe = PromiseRecipe.model_validate({"per_label": per_label})
    overall, anyone, _ = broken(POPULATIONS[name], recipe, guaranteed)
    assert overall <= MOST_BROKEN
    assert anyone <= MOST_BROKEN


def test_a_threshold_without_a_bound_would_be_caught() -> None:
    """The share of right calibration rows alone breaks its promise far more often: this test can tell."""
    overall, _, _ = broken(population(), PromiseRecipe(), naive)
    assert overall > 3 * MOST_BROKEN


def test_the_promise_is_not_bought_with_silence() -> None:
    """Of what could be routed at the promised precision, most is."""
    people = population()
    order = np.argsort(-people.confidence)
    best = (np.cumsum(people.right[order]) / np.arange(1, len(order) + 1) >= 0.95).mean()
    _, _, coverage = broken(people, PromiseRecipe(per_label="off"), guaranteed, rows=2000)
    assert coverage > 0.8 * best
