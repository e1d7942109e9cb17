"""Figures by slice of the measured rows (language, mailbox, length, month…), to compare the quality for each kind."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Frozen
from training.data.example import Example
from training.data.prepared import length_slice
from training.evaluation.intervals import share

FEWEST = 20
"""Smaller slices are unreliable: they are joined as OTHER, which is left out if it is too small as well."""
OTHER = "other"
UNKNOWN = "unknown"


class SliceFigures(Frozen):
    """One slice of the measured rows, e.g. kind `length`, name `over 256 words`; low and high: a 95 % interval."""

    kind: str
    name: str
    rows: int
    accuracy: float
    low: float
    high: float
    routed: float
    route_precision: float | None
    refused: float = 0.0
    """Share of its rows that are refused as strange."""


def slice_figures(
    names: Mapping[str, Sequence[str]],
    correct: NDArray[np.bool_],
    routed: NDArray[np.bool_],
    refused: NDArray[np.bool_],
) -> tuple[SliceFigures, ...]:
    """Figures of every slice, sorted by name within its kind.

    Args:
        names: by kind, the slice of each row, [rows].
        correct: whether each prediction is right, [rows].
        routed: whether each row is routed without a person, [rows].
        refused: whether each row is refused as strange, [rows].
    """
    found = []
    for kind, of_rows in names.items():
        counts = Counter(of_rows)
        slices = np.array([name if counts[name] >= FEWEST else OTHER for name in of_rows], dtype=object)
        for name in sorted(set(slices), key=lambda name: (name == OTHER, name)):
            rows = slices == name
            if rows.sum() < FEWEST:
                continue
            right, automatic = correct[rows], routed[rows]
            accuracy = share(int(right.sum()), len(right))
            assert accuracy is not None  # a slice has rows
            found.append(
                SliceFigures(
                    kind=kind,
                    name=name.strip(),
                    rows=len(right),
                    accuracy=accuracy.value,
                    low=accuracy.low,
                    high=accuracy.high,
                    routed=float(automatic.mean()),
                    route_precision=float(right[automatic].mean()) if automatic.any() else None,
                    refused=float(refused[rows].mean()),
                )
            )
    return tuple(found)


def slice_names(rows: Sequence[Example]) -> dict[str, list[str]]:
    """By kind, the slice of each row, [rows]. A kind without values in the file is left out.

    The language is the file's own value: language detectors are unreliable on short mails.
    """
    kinds = {
        "length": [length_slice(item.text) for item in rows],
        "language": [item.language for item in rows],
        "month": [f"{date:%Y-%m}" if (date := item.created_at) else "" for item in rows],
        "mailbox": [next(iter(item.ticket.recipients), "").casefold() for item in rows],
    }
    return {kind: [name or UNKNOWN for name in names] for kind, names in kinds.items() if any(names)}
