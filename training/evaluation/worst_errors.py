"""The mistakes worth a person's look: the surest wrong answers, with the first words of their text."""

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Frozen
from models.fields import Field
from training.data.prepared import MISSING, PreparedRow

EXCERPT = 160
"""Characters: enough to see what a ticket is about, too few to be a copy of it."""


class WorstError(Frozen):
    """A confident mistake on the measured rows, with the first words of its text."""

    line: int
    excerpt: str
    wanted: str
    predicted: str
    confidence: float


def worst_errors(
    rows: tuple[PreparedRow, ...],
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    field: Field,
    most: int = 20,
) -> tuple[WorstError, ...]:
    """The wrong answers with the highest confidence, surest first.

    Args:
        rows: the measured rows.
        probabilities: calibrated, [rows, labels of the field].
        labels: the field's at close, [rows]; MISSING where a row has none: such a row is never a mistake.
        field: whose labels these are.
        most: how many to give.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero((labels != MISSING) & (predicted != labels))
    surest = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return tuple(
        WorstError(
            line=rows[number].row.line,
            excerpt=excerpt(rows[number].text),
            wanted=str(rows[number].row.labels[field.name]),
            predicted=field.labels[predicted[number]],
            confidence=float(confidence[number]),
        )
        for number in surest
    )


def excerpt(text: str) -> str:
    """The first EXCERPT characters on one line, an ellipsis behind them where there is more."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1].rstrip()}…"
