"""How many calibration rows a promise needs. Apart from the tests, so that `training check` answers without scipy."""

import math

from training.recipe import PromiseRecipe


def fewest_rows(precision: float, alpha: float) -> int:
    """The number of rows, all of them right, that proves `precision` with error probability `alpha`: 59 for .95 at .05
    (exact binomial test)."""
    return math.ceil(math.log(alpha) / math.log(precision))


def fewest_start(recipe: PromiseRecipe) -> int:
    """The number of calibration rows, all of them right, that is needed before any label can be routed."""
    return fewest_rows(recipe.route_precision, 1 - recipe.confidence)
