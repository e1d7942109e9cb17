"""Weighted choice from a local generator: the same seed gives the same tickets in every process."""

import random
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def weighted_choice(rng: random.Random, weights: Mapping[T, float]) -> T:
    return rng.choices(list(weights), list(weights.values()))[0]


def chance(rng: random.Random, share: float) -> bool:
    return rng.random() < share
