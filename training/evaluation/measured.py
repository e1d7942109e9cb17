"""One field's answers to the measured rows, for slices and business impact; and the worst errors among them.

The worst errors are the wrong answers with the highest confidence, with the first words of their text.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Frozen
from models.fields import Field
from models.scoring import FieldScoring, Logits, Outcome, in_scope, probabilities
from training.calibration.predictions import Scored, outcomes_of
from training.data.example import Example
from training.data.prepared import MISSING
from training.evaluation.slices import UNKNOWN, SliceFigures, slice_figures, slice_names

EXCERPT = 160
"""Characters: enough to recognise a ticket's topic, too few to copy the ticket."""


class WorstError(Frozen):
    """A wrong answer with high confidence on the measured rows, with the first words of its text."""

    line: int
    excerpt: str
    wanted: str
    predicted: str
    confidence: float


class Prediction(Frozen):
    """One row's answer for one field; `text_sha256` is of the text as the network reads it, in place of the text."""

    line: int
    id: str
    text_sha256: str
    field: str
    expected: str
    predicted: str
    confidence: float
    outcome: str


def worst_errors(
    rows: tuple[Example, ...],
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    field: Field,
    most: int = 20,
) -> tuple[WorstError, ...]:
    """The wrong answers with the highest confidence, highest first.

    Args:
        rows: the measured rows.
        probabilities: calibrated, [rows, labels of the field].
        labels: the field's labels at close, [rows]; MISSING: the row has none and is never a mistake.
        field: the field of the labels.
        most: the largest number of errors.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero((labels != MISSING) & (predicted != labels))
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return tuple(
        WorstError(
            line=rows[number].line,
            excerpt=excerpt(rows[number].text),
            wanted=str(rows[number].labels[field.name]),
            predicted=field.labels[predicted[number]],
            confidence=float(confidence[number]),
        )
        for number in surest
    )


def excerpt(text: str) -> str:
    """The first EXCERPT characters on one line, with an ellipsis if the text is longer."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1].rstrip()}…"


@dataclass(frozen=True, slots=True)
class Predictions:
    """One field's predictions for the examples that have a label of it.

    labels, outcomes (`Outcome` values) and correct: [rows]; logits: [rows, labels of all fields].
    """

    scoring: FieldScoring
    examples: tuple[Example, ...]
    labels: NDArray[np.int64]
    logits: Logits
    outcomes: NDArray[np.str_]
    correct: NDArray[np.bool_]

    def slices(self, cells: Mapping[str, Mapping[int, str]] = MappingProxyType({})) -> tuple[SliceFigures, ...]:
        """By the usual kinds, and by these columns of the file: each line's cell."""
        names = slice_names(self.examples)
        names |= {
            column: [values[item.line].strip() or UNKNOWN for item in self.examples] for column, values in cells.items()
        }
        refused = ~in_scope(self.logits, self.scoring)
        return slice_figures(names, self.correct, self.outcomes == Outcome.ROUTE, refused)

    def rows(self) -> Iterator[Prediction]:
        """Each row's answer beside its label at close."""
        confidences, labels = probabilities(self.logits, self.scoring), self.scoring.field.labels
        for number, item in enumerate(self.examples):
            best = int(confidences[number].argmax())
            yield Prediction(
                line=item.line,
                id=item.ticket.id or "",
                text_sha256=hashlib.sha256(item.text.encode("utf-8", "surrogatepass")).hexdigest(),
                field=self.scoring.field.name,
                expected=str(item.labels[self.scoring.field.name]),
                predicted=labels[best],
                confidence=round(float(confidences[number][best]), 6),
                outcome=str(self.outcomes[number]),
            )

    def worst(self) -> tuple[WorstError, ...]:
        return worst_errors(self.examples, probabilities(self.logits, self.scoring), self.labels, self.scoring.field)


def predictions_of(examples: Sequence[Example], scored: Scored, scoring: FieldScoring) -> Predictions:
    """The examples with the model's answers, without examples that have no label."""
    there = scored.labelled
    kept = tuple(example for example, label in zip(examples, scored.labels, strict=True) if label != MISSING)
    correct = there.logits[:, scoring.field.slice].argmax(axis=1) == there.labels
    return Predictions(scoring, kept, there.labels, there.logits, outcomes_of(there.logits, scoring), correct)
