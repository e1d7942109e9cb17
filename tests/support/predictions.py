"""Rows with a known truth, to hold promises against: made-up answers, and logits that give them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.fields import Field
from training.calibration.predictions import Scored, TopPredictions

LABELS = 3
FIELD = Field("department", ("a", "b", "c"), 0)


@dataclass(frozen=True)
class Population:
    """Every answer there is, equally likely: its label, its confidence, and how likely it is right; all [answers]."""

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]

    def draw(self, generator: np.random.Generator, rows: int) -> TopPredictions:
        picked = generator.integers(0, len(self.right), rows)
        correct = generator.random(rows) < self.right[picked]
        return TopPredictions(self.predicted[picked], self.confidence[picked], correct)

    def precision(self, levels: Sequence[float | None], label: int | None = None) -> float | None:
        """The true precision of what is routed at these levels, of all labels or of one; None: nothing is."""
        lowest = np.array([np.inf if level is None else level for level in levels])
        routed = self.confidence >= lowest[self.predicted]
        if label is not None:
            routed &= self.predicted == label
        return float(self.right[routed].mean()) if routed.any() else None


def population(answers: int = 20_000, sharpness: float = 0.35) -> Population:
    """Labels of 60, 30 and 10 % of the answers, each less sure than the one before; the surest are right."""
    generator = np.random.default_rng(3)
    predicted = generator.choice(LABELS, answers, p=[0.6, 0.3, 0.1])
    confidence = generator.beta(1, sharpness, answers)
    right = 0.995 - (1 - confidence) * np.array([0.25, 0.5, 0.9])[predicted]
    return Population(predicted, confidence, right)


def scored(predictions: TopPredictions) -> Scored:
    """Rows whose logits give these answers at temperature 1."""
    logits = np.zeros((len(predictions), LABELS), dtype=np.float32)
    # Two labels share what the predicted one leaves.
    sure = np.clip(predictions.confidence, 0.4, 1 - 1e-6)
    logits[np.arange(len(predictions)), predictions.predicted] = np.log(2 * sure / (1 - sure))
    return Scored(logits, np.where(predictions.correct, predictions.predicted, (predictions.predicted + 1) % LABELS))
