"""How many rows a promise takes: plain arithmetic that `check` shares with the plan."""

import math

from training.recipe import PromiseRecipe

STARTS = 3
"""Walks downwards that share a group's error probability: one unlucky test does not leave everything to people."""


def fewest_rows(precision: float, doubt: float) -> int:
    """How many rows without one error it takes to promise `precision`: 59 for .95 at 95 %."""
    return math.ceil(math.log(doubt) / math.log(precision))


def fewest_start(recipe: PromiseRecipe) -> int:
    """How many calibration rows, all of them right, it takes before any label can be routed."""
    return fewest_rows(recipe.route_precision, 1 - recipe.confidence)
