"""One field's answers to the measured rows: what slices, worst errors and effect are taken from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.scoring import FieldScoring, Logits, Outcome, probabilities
from training.calibration.predictions import Scored, outcomes_of
from training.data.prepared import MISSING, PreparedRow
from training.evaluation.slices import SliceFigures, slice_figures, slice_names
from training.evaluation.worst_errors import WorstError, worst_errors


@dataclass(frozen=True, slots=True)
class MeasuredRows:
    """The rows that have a label of the field.

    labels, outcomes (`Outcome` values) and correct: [rows]; logits: [rows, labels of all fields].
    """

    scoring: FieldScoring
    rows: tuple[PreparedRow, ...]
    labels: NDArray[np.int64]
    logits: Logits
    outcomes: NDArray[np.str_]
    correct: NDArray[np.bool_]

    def slices(self) -> tuple[SliceFigures, ...]:
        return slice_figures(slice_names(self.rows), self.correct, self.outcomes == Outcome.ROUTE)

    def worst(self) -> tuple[WorstError, ...]:
        return worst_errors(self.rows, probabilities(self.logits, self.scoring), self.labels, self.scoring.field)


def measured_rows(rows: Sequence[PreparedRow], scored: Scored, scoring: FieldScoring) -> MeasuredRows:
    """The rows with the model's answers to them, those without a label left out."""
    there = scored.labelled
    kept = tuple(row for row, label in zip(rows, scored.labels, strict=True) if label != MISSING)
    correct = there.logits[:, scoring.field.slice].argmax(axis=1) == there.labels
    return MeasuredRows(scoring, kept, there.labels, there.logits, outcomes_of(there.logits, scoring), correct)
