"""`TicketRow`s with the network's input text, each text once. `split` divides them; `evaluate` measures on them."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.fields import DEPARTMENT, Field
from models.label_source import LabelSource
from models.text.prepare import prepare
from training.data.contract import TicketRow

MISSING = -100
"""The value of a missing label: masked in the loss (torch's own `ignore_index`)."""
_KEPT_FIRST = ("test", "calibration", "validation", "train", "")
"""If a text occurs in two parts, the earlier part of this order keeps it: measuring parts never lose rows to
training."""

_LENGTHS = (32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """A row with the network's input text."""

    row: TicketRow
    text: str
    weight: float = 1.0
    """In training."""


def prepare_rows(rows: Iterable[TicketRow]) -> tuple[list[PreparedRow], int]:
    """Clean every row: the rows that have text left, and the number of the others."""
    prepared = [PreparedRow(row, prepare(row.ticket).text) for row in rows]
    filled = [item for item in prepared if item.text]
    return filled, len(prepared) - len(filled)


def label_numbers(rows: Sequence[PreparedRow], field: Field, unknown: int = MISSING) -> NDArray[np.int64]:
    """Each row's label number within a field, [rows]: MISSING for no value, `unknown` for a value that is no label."""
    known = {label: number for number, label in enumerate(field.labels)}
    values = (row.row.labels[field.name] for row in rows)
    return np.array([MISSING if value is None else known.get(value, unknown) for value in values], dtype=np.int64)


def distinct_rows(rows: Sequence[PreparedRow]) -> tuple[list[PreparedRow], int]:
    """One row per distinct text, a checked one if there is one, and the number of dropped rows whose department differs
    from the kept row's.

    The file's own test rows are all kept, including repeats: their figures stay comparable with published ones.
    """
    ranked = sorted(
        rows,
        key=lambda item: (_KEPT_FIRST.index(item.row.split), item.row.label_source is LabelSource.ROUTER_UNCHECKED),
    )
    kept: dict[bytes, PreparedRow] = {}
    result, conflicting = [], 0
    for item in ranked:
        first = kept.setdefault(_text_key(item.text), item)
        if first is item or item.row.split == "test":
            result.append(item)
        else:
            conflicting += first.row.labels[DEPARTMENT] != item.row.labels[DEPARTMENT]
    return sorted(result, key=lambda item: item.row.line), conflicting


def _text_key(text: str) -> bytes:
    return hashlib.sha256(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass")).digest()


def length_slice(text: str) -> str:
    """A text's slice by its number of words, with names that sort by length: `  1-32 words` … `over 256 words`."""
    words = len(text.split())
    below = 0
    for most in _LENGTHS:
        if words <= most:
            return f"{below + 1:>3}-{most} words"
        below = most
    return f"over {below} words"
