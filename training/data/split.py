"""Rows → train, validation, calibration and test, with no text in two of them.

A row's own `split` is respected. What the file leaves open is drawn from its unassigned or training rows, label by
label, so that each part has every department's share.
"""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import TicketRouterError
from models.fields import DEPARTMENT, Field
from models.manifest import Frozen
from models.text import prepare
from training.data.contract import TicketRow
from training.recipe import SplitRecipe

MISSING = -100
"""A field's value that a row doesn't have: masked in the loss (torch's own `ignore_index`)."""
PARTS = ("train", "validation", "calibration", "test")
_KEPT_FIRST = ("test", "calibration", "validation", "train", "")
"""Where a text stands in two parts, the part named earlier keeps it: what measures is never thinned to train more."""


@dataclass(frozen=True, slots=True)
class PreparedRow:
    """A row with its text as the network will see it."""

    row: TicketRow
    text: str


class Removed(Frozen):
    """Rows left out before training, by reason."""

    empty: int = 0
    duplicates: int = 0
    conflicting: int = 0
    """Of the duplicates, those whose department was not the kept row's."""
    unchecked: int = 0
    """Labels that the router itself set and nobody checked (`label_source`)."""
    retired: int = 0
    """Rows of labels that the labels file retires."""
    scarce: int = 0
    """Rows of labels with fewer than `data.minimum_rows` rows."""
    old: int = 0
    """Rows from before `data.months`."""
    suspects: int = 0


@dataclass(frozen=True, slots=True)
class Split:
    """The four parts (the test may be empty), and what was left out."""

    parts: Mapping[str, tuple[PreparedRow, ...]]
    removed: Removed

    def __getitem__(self, part: str) -> tuple[PreparedRow, ...]:
        return self.parts[part]


def split_rows(rows: Iterable[TicketRow], recipe: SplitRecipe, seed: int) -> Split:
    """Clean every row, drop empty and repeated texts, and split the rest.

    Raises:
        TicketRouterError: fewer than two departments, or too few rows to fill every part.
    """
    filled, empty = prepare_rows(rows)
    distinct, conflicting = distinct_rows(filled)
    removed = Removed(empty=empty, duplicates=len(filled) - len(distinct), conflicting=conflicting)
    parts = _assign(distinct, recipe, seed)
    _refuse_unlearnable(parts, removed)
    return Split(parts, removed)


def prepare_rows(rows: Iterable[TicketRow]) -> tuple[list[PreparedRow], int]:
    """Clean every row: those that have text left, and how many have none."""
    prepared = [PreparedRow(row, prepare(row.ticket).text) for row in rows]
    filled = [item for item in prepared if item.text]
    return filled, len(prepared) - len(filled)


def label_numbers(rows: Sequence[PreparedRow], field: Field, unknown: int = MISSING) -> NDArray[np.int64]:
    """Each row's label number within a field, [rows]: MISSING where it has none, `unknown` where it is no label."""
    known = {label: number for number, label in enumerate(field.labels)}
    values = (row.row.labels[field.name] for row in rows)
    return np.array([MISSING if value is None else known.get(value, unknown) for value in values], dtype=np.int64)


def distinct_rows(rows: Sequence[PreparedRow]) -> tuple[list[PreparedRow], int]:
    """One row per distinct text and, of the dropped ones, how many contradict the kept row's department.

    The file's own test rows are all kept, repeats among them too: its figures should compare with other people's.
    """
    ranked = sorted(rows, key=lambda item: _KEPT_FIRST.index(item.row.split))
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


def _assign(rows: Sequence[PreparedRow], recipe: SplitRecipe, seed: int) -> dict[str, tuple[PreparedRow, ...]]:
    own = {part: [item for item in rows if item.row.split == part] for part in PARTS}
    pool = own["train"] + [item for item in rows if not item.row.split]
    # A file that assigns rows itself says what its test is; only a file without any split gets one from us.
    wanted = {
        "validation": 0.0 if own["validation"] else recipe.validation or 0.1,
        "calibration": 0.0 if own["calibration"] else recipe.calibration or 0.1,
        "test": recipe.test if all(not item.row.split for item in rows) else 0.0,
    }
    drawn = _draw(pool, wanted, seed)
    return {part: tuple(drawn[part] if part == "train" else own[part] + drawn[part]) for part in PARTS}


def _draw(pool: Sequence[PreparedRow], shares: Mapping[str, float], seed: int) -> dict[str, list[PreparedRow]]:
    """Draw each share from the pool, stratified by department; what is left is for training."""
    generator = random.Random(seed)
    by_label: dict[str, list[PreparedRow]] = defaultdict(list)
    for item in pool:
        by_label[str(item.row.labels[DEPARTMENT])].append(item)
    drawn: dict[str, list[PreparedRow]] = {part: [] for part in PARTS}
    for label in sorted(by_label):
        members = by_label[label]
        generator.shuffle(members)
        taken = 0
        for part, share in shares.items():
            # Rounding at random, not to nearest: small labels would else be missing from every part at once.
            count = min(int(len(members) * share + generator.random()), len(members) - 1 - taken)
            drawn[part] += members[taken : taken + count]
            taken += count
        drawn["train"] += members[taken:]
    return {part: sorted(items, key=lambda item: item.row.line) for part, items in drawn.items()}


def _refuse_unlearnable(parts: Mapping[str, Sequence[PreparedRow]], removed: Removed) -> None:
    left_out = f"after leaving out {removed.duplicates} repeated and {removed.empty} empty texts"
    trained = Counter(item.row.labels[DEPARTMENT] for item in parts["train"])
    if len(trained) < 2:
        raise TicketRouterError(f"departments to learn {left_out}: {len(trained)}; routing needs at least two")
    for part in ("validation", "calibration"):
        if not parts[part]:
            raise TicketRouterError(f"too few rows {left_out}: none is left for {part}; add closed tickets")
        unknown = {item.row.labels[DEPARTMENT] for item in parts[part]} - set(trained)
        if unknown:
            raise TicketRouterError(f"a department of the {part} rows has no training row; add some or merge it")
