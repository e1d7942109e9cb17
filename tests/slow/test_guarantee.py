"""The promise over many deals of calibration and test rows, the answers fixed; and the command that shows it."""

import numpy as np
import pytest

from tests.benchmarks.guarantee import lines
from tests.support.predictions import FIELD, population, scored
from tests.support.resplit import deal, too_often
from training.recipe import PromiseRecipe, Recipe

pytestmark = pytest.mark.slow
CHANCE = 0.001


@pytest.mark.parametrize("per_label", ["auto", "strict", "off"])
def test_no_promise_is_broken_more_often_than_stated_over_200_deals(per_label: str) -> None:
    """Overall, per label and pool together, and for suggestions: each fails in at most 5 % of the deals."""
    people, generator = population(), np.random.default_rng(8)
    validation, rest = scored(people.draw(generator, 400)), scored(people.draw(generator, 4000))
    promise = PromiseRecipe.model_validate({"per_label": per_label, "route_precision": 0.93})
    deals = list(deal(FIELD, validation, rest, 800, Recipe(promise=promise), 200))
    for name in ("broken", "any_broken", "suggest_broken"):
        assert too_often(sum(getattr(each, name) for each in deals), len(deals), 0.05) > CHANCE, name
    assert np.mean([each.coverage for each in deals]) > (0.05 if per_label == "strict" else 0.4)


def test_the_command_says_what_was_asked_and_what_came() -> None:
    """Coverage, ECE and every kind of broken promise, each with its probability."""
    people, generator = population(), np.random.default_rng(8)
    names = {"validation": 200, "calibration": 400, "test": 400}
    parts = {name: scored(people.draw(generator, rows)) for name, rows in names.items()}
    found = "\n".join(lines(FIELD, parts, Recipe(), 5))
    assert "400 calibration rows of 800 dealt" in found
    for word in ("coverage", "ECE", "broken: ", "any_broken: ", "suggest_broken: ", "held_out_broken: "):
        assert word in found
