"""A field's labels for the page: figures with intervals, the source of each threshold, and confusions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.bundle.manifest import FieldEntry
from training.evaluation.intervals import Estimate, f1, share
from training.evaluation.metrics import FieldFigures

WHOLE_MATRIX = 16
"""Up to this many labels, the whole confusion matrix fits on a screen; with more, the most confused ones are shown."""
BLOCK = 14

ThresholdSource = Literal["own", "pooled", "never"]


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One line of the label table; None: no row supports an estimate."""

    name: str
    rows: int
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None
    route: float | None
    threshold_source: ThresholdSource
    calibration_rows: int
    refused: float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """Tickets of one label at close that were predicted as another, and their share of the label's tickets."""

    count: int
    share: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One label at close: its cells in the order of the columns, and the rows predicted as a label that is not
    shown."""

    name: str
    cells: tuple[Cell, ...]
    elsewhere: int
    rows: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """The confusion matrix, or its most confused block."""

    rows: tuple[MatrixRow, ...]
    is_whole: bool


def label_rows(entry: FieldEntry, figures: FieldFigures) -> tuple[LabelRow, ...]:
    """The label table, in the catalogue's order."""
    rows = []
    for label, found in zip(entry.labels, figures.labels, strict=True):
        right = round(found.recall * found.rows)
        # Without a right answer the number of predictions is unknown, so the precision has no interval.
        predicted = round(right / found.precision) if found.precision else 0
        rows.append(
            LabelRow(
                name=label.name,
                rows=found.rows,
                precision=share(right, predicted),
                recall=share(right, found.rows),
                f1=f1(right, found.rows, predicted),
                route=label.route,
                threshold_source="never" if label.route is None else "pooled" if label.pooled else "own",
                calibration_rows=label.calibration_rows,
                refused=found.refused if found.rows else None,
            )
        )
    return tuple(rows)


def matrix(figures: FieldFigures) -> Matrix:
    """The confusion matrix: the whole matrix for few labels, or the block of the most confused pairs for many."""
    names = [label.label for label in figures.labels]
    is_whole = len(names) <= WHOLE_MATRIX
    shown = names if is_whole else _most_confused(figures.confused, set(names))
    wrong = {(wanted, predicted): count for wanted, predicted, count in figures.confused}
    found = {label.label: label for label in figures.labels}
    rows = []
    for label in (found[name] for name in shown):
        right = round(label.recall * label.rows)
        counts = [right if name == label.label else wrong.get((label.label, name), 0) for name in shown]
        cells = tuple(
            Cell(count, count / max(label.rows, 1), name == label.label)
            for name, count in zip(shown, counts, strict=True)
        )
        rows.append(MatrixRow(label.label, cells, label.rows - sum(counts), label.rows))
    return Matrix(tuple(rows), is_whole)


def _most_confused(confused: Sequence[tuple[str, str, int]], known: set[str]) -> list[str]:
    """The labels of the most frequent confusions, the two labels of a pair side by side."""
    chosen: list[str] = []
    for wanted, predicted, _ in confused:
        fresh = [name for name in (wanted, predicted) if name in known and name not in chosen]
        if len(chosen) + len(fresh) <= BLOCK:
            chosen += fresh
    return chosen
