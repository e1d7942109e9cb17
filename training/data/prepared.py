"""`Example`s gain the network's input text, each text once. `split` divides them; `evaluate` measures on them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.fields import DEPARTMENT, Field
from models.label_source import LabelSource
from models.text.prepare import prepare
from training.data.example import Example
from training.recipe import Contradictions

MISSING = -100
"""The value of a missing label: masked in the loss (torch's own `ignore_index`)."""
_KEPT_FIRST = ("test", "calibration", "validation", "train", "")
"""If a text occurs in two parts, the earlier part of this order keeps it: measuring parts never lose rows to
training."""

_LENGTHS = (32, 64, 128, 256)
LENGTHS = ("  1-32 words", " 33-64 words", " 65-128 words", "129-256 words", "over 256 words")


def prepare_rows(rows: Iterable[Example]) -> tuple[list[Example], int]:
    """Clean every row: the rows that have text left, and the number of the others."""
    prepared = [replace(row, text=prepare(row.ticket).text) for row in rows]
    filled = [item for item in prepared if item.text]
    return filled, len(prepared) - len(filled)


def label_numbers(rows: Sequence[Example], field: Field, unknown: int = MISSING) -> NDArray[np.int64]:
    """Each row's label number within a field, [rows]: MISSING for no value, `unknown` for a value that is no label."""
    known = {label: number for number, label in enumerate(field.labels)}
    values = (row.labels[field.name] for row in rows)
    return np.array([MISSING if value is None else known.get(value, unknown) for value in values], dtype=np.int64)


def distinct_rows(rows: Sequence[Example], contradictions: Contradictions = "first") -> tuple[list[Example], int]:
    """One row per distinct text, a checked one if there is one, and the number of dropped rows whose department differs
    from the kept row's.

    The file's own test rows are all kept, including repeats: their figures stay comparable with published ones.

    Args:
        rows: any rows.
        contradictions: of a text under several departments: keep its first row, one of the most frequent department,
            or none (its test rows stay).
    """
    ranked = sorted(
        rows,
        key=lambda item: (_KEPT_FIRST.index(item.split), item.label_source is LabelSource.ROUTER_UNCHECKED),
    )
    texts: dict[int, list[Example]] = {}
    for item in ranked:
        texts.setdefault(text_key(item.text), []).append(item)
    result, conflicting = [], 0
    for same in texts.values():
        counts = Counter(item.labels[DEPARTMENT] for item in same)
        kept = same[0]
        if contradictions == "majority":
            most = max(counts, key=lambda label: counts[label])  # on a tie the first
            kept = next(item for item in same if item.labels[DEPARTMENT] == most)
        for item in same:
            is_kept = item is kept and (len(counts) == 1 or contradictions != "leave_out")
            if is_kept or item.split == "test":
                result.append(item)
            else:
                conflicting += len(counts) > 1 and (
                    contradictions == "leave_out" or item.labels[DEPARTMENT] != kept.labels[DEPARTMENT]
                )
    return sorted(result, key=lambda item: item.line), conflicting


def text_key(text: str) -> int:
    """Equal for texts that differ by case or blanks only: 64 bits, of which two million texts share one by a chance of
    one in ten million."""
    plain = " ".join(text.casefold().split()).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest(), "little")


def length_of(text: str) -> int:
    """The number of a text's slice in LENGTHS."""
    words = len(text.split())
    return next((number for number, most in enumerate(_LENGTHS) if words <= most), len(_LENGTHS))


def length_slice(text: str) -> str:
    """A text's slice by its number of words, with names that sort by length."""
    return LENGTHS[length_of(text)]
