"""The models of a run side by side, and what the n-grams add to the encoder."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from models.bundle.manifest import Frozen
from models.encoding import Encoder
from models.fields import Field
from training.evaluation.metrics import AccuracyFigures
from training.learn.ngrams import NgramModel

StageName = Literal["baseline", "n-grams", "frozen encoder", "quick", "encoder", "full", "student"]
TELLING = 8
"""N-grams that the report shows of each label."""


class StageFigures(Frozen):
    """One model's department figures by part (validation, test), the minutes from the start of the learning.

    baseline: TF-IDF of words; n-grams: of wordpieces, as in the graph; frozen encoder: a linear head on the base
    encoder's vectors; quick: these two together; encoder: fine-tuned; full: fine-tuned, with the n-grams.
    """

    name: StageName
    figures: Mapping[str, AccuracyFigures]
    minutes: float


class NgramFigures(Frozen):
    """The n-gram model beside the encoder: its size, its share by field (0: left out), and each label's most telling
    n-grams of the department."""

    ngrams: int
    shares: Mapping[str, float]
    telling: Mapping[str, tuple[str, ...]] = {}


def telling_ngrams(
    model: NgramModel, field: Field, encoder: Encoder, most: int = TELLING
) -> dict[str, tuple[str, ...]]:
    """Each label's n-grams with the largest weight above the labels' mean, as text, largest first."""
    weights = model.weights[:, field.slice]
    above = weights - weights.mean(axis=1, keepdims=True)
    best = np.argsort(-above, axis=0, kind="stable")[:most]
    return {
        label: tuple(_text(int(model.keys[row]), model.vocabulary, encoder) for row in best[:, column])
        for column, label in enumerate(field.labels)
    }


def _text(key: int, vocabulary: int, encoder: Encoder) -> str:
    first, second = divmod(key, vocabulary)
    return encoder.text([first - 1, second] if first else [second])
