"""Rows with the trained model's answers: the input of calibration, figures and curves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.scoring import FieldScoring, Logits, Outcome, in_scope, outcome_at, probabilities
from training.data.prepared import MISSING


@dataclass(frozen=True, slots=True)
class Scored:
    """Rows with the model's logits [rows, labels of all fields] and one field's labels [rows]; MISSING: no label."""

    logits: Logits
    labels: NDArray[np.int64]

    @property
    def labelled(self) -> "Scored":
        """The rows that have a label."""
        return self.where(self.labels != MISSING)

    def where(self, chosen: NDArray[np.bool_]) -> "Scored":
        return Scored(self.logits[chosen], self.labels[chosen])


@dataclass(frozen=True, slots=True)
class TopPredictions:
    """One field's answers, [rows] each: the most probable label, its calibrated probability, whether it is right."""

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.predicted)

    def of(self, labels: NDArray[np.bool_]) -> "TopPredictions":
        """The rows predicted as one of these labels; `labels` is a mask, [labels of the field]."""
        chosen = labels[self.predicted]
        return TopPredictions(self.predicted[chosen], self.confidence[chosen], self.correct[chosen])


def top_predictions(rows: Scored, scoring: FieldScoring) -> TopPredictions:
    """The answers to the rows that have a label and are in scope."""
    asked = rows.labelled
    asked = asked.where(in_scope(asked.logits, scoring))
    confidences = probabilities(asked.logits, scoring)
    predicted = confidences.argmax(axis=1)
    return TopPredictions(predicted, confidences.max(axis=1), predicted == asked.labels)


def outcomes_of(logits: Logits, scoring: FieldScoring) -> NDArray[np.str_]:
    """Each row's outcome ([rows], `Outcome` values), by the same functions that the service uses."""
    confidences = probabilities(logits, scoring)
    rows = zip(confidences.max(axis=1), confidences.argmax(axis=1), in_scope(logits, scoring), strict=True)
    return np.array(
        [outcome_at(float(sure), scoring.thresholds[label])[0] if inside else Outcome.REVIEW
         for sure, label, inside in rows],
        dtype=np.str_,
    )  # fmt: skip
