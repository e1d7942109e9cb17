"""Rows counted as they pass: a few numbers for each, texts of a sample. Two million rows fit into memory."""

import random
from array import array
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.data.example import Example
from training.data.prepared import length_of, text_key

SAMPLE = 200_000
"""Rows whose texts are kept: near-duplicates and the forecast rest on these."""
_SAMPLE_CHARACTERS = 400_000_000
"""… as long as they fit: of longer texts fewer rows are kept."""
_KEPT_CHARACTERS = 4_000
NONE = -1
LANGUAGE, SOURCE = "language", "label source"


class Tally:
    """Add every row that has text; then read the columns, each [rows]."""

    def __init__(self, fields: Sequence[str], seed: int) -> None:
        self.fields = tuple(fields)
        self.names: dict[str, dict[str, int]] = {name: {} for name in (*fields, LANGUAGE, SOURCE)}
        """By field, and for the language and the label's source: value → its number."""
        self.sample: list[tuple[int, str]] = []
        """Rows by chance: their place among all rows, and their text."""
        self.misread: dict[str, list[int]] = {"subject": [], "body": []}
        """Lines with signs of a wrong encoding."""
        self.calibration = 0
        self._numbers = {name: array("i") for name in (*fields, LANGUAGE, SOURCE)}
        self._lines, self._keys, self._dates = array("q"), array("Q"), array("d")
        self._lengths, self._splits = array("b"), array("b")
        self._random = random.Random(seed)
        self._room = SAMPLE
        self._characters = 0

    def add(self, example: Example, text: str) -> None:
        self._lines.append(example.line)
        self._keys.append(text_key(text))
        self._dates.append(example.created_at.timestamp() if example.created_at else float("nan"))
        self._lengths.append(length_of(text))
        self._splits.append(_SPLITS.index(example.split))
        for name in self.fields:
            self._number(name, example.labels[name])
        self._number(LANGUAGE, example.language or None)
        self._number(SOURCE, example.label_source and example.label_source.value)
        # Reservoir sampling (Vitter 1985): every row has the same chance.
        place = len(self._lines) - 1
        kept = (place, text[:_KEPT_CHARACTERS])
        if len(self.sample) < self._room:
            self.sample.append(kept)
            self._characters += len(kept[1])
            if self._characters > _SAMPLE_CHARACTERS:
                self._room = len(self.sample)
        elif (slot := self._random.randrange(place + 1)) < self._room:
            self.sample[slot] = kept

    def _number(self, name: str, value: str | None) -> None:
        known = self.names[name]
        self._numbers[name].append(NONE if value is None else known.setdefault(value, len(known)))

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def is_sampled(self) -> bool:
        return len(self.sample) < len(self)

    @cached_property
    def lines(self) -> NDArray[np.int64]:
        return np.frombuffer(self._lines, dtype=np.int64) if len(self) else np.zeros(0, np.int64)

    @cached_property
    def dates(self) -> NDArray[np.float64]:
        """Seconds since 1970; NaN: none."""
        return np.frombuffer(self._dates, dtype=np.float64) if len(self) else np.zeros(0)

    @cached_property
    def lengths(self) -> NDArray[np.int8]:
        return np.frombuffer(self._lengths, dtype=np.int8) if len(self) else np.zeros(0, np.int8)

    @cached_property
    def keys(self) -> NDArray[np.uint64]:
        """Equal for equal texts."""
        return np.frombuffer(self._keys, dtype=np.uint64) if len(self) else np.zeros(0, np.uint64)

    def numbers(self, name: str) -> NDArray[np.int32]:
        """A field's values (or LANGUAGE, or SOURCE) as their numbers in `names`; NONE: no value."""
        return np.frombuffer(self._numbers[name], dtype=np.int32) if len(self) else np.zeros(0, np.int32)

    def in_split(self, part: str) -> NDArray[np.bool_]:
        return np.frombuffer(self._splits, dtype=np.int8) == _SPLITS.index(part) if len(self) else np.zeros(0, np.bool_)

    @cached_property
    def texts(self) -> dict[int, str]:
        """The sample's texts by their place among all rows."""
        return dict(self.sample)

    @cached_property
    def distinct(self) -> NDArray[np.bool_]:
        """The first row of each text; the file's own test rows all count."""
        first = np.zeros(len(self), dtype=np.bool_)
        first[np.unique(self.keys, return_index=True)[1]] = True
        return first | self.in_split("test")

    def counts(self, name: str, rows: NDArray[np.bool_]) -> Counter[str]:
        """A field's values among these rows, most frequent first."""
        numbers = self.numbers(name)[rows]
        found = np.bincount(numbers[numbers != NONE], minlength=len(self.names[name]))
        counts = {value: int(found[number]) for value, number in self.names[name].items() if found[number]}
        return Counter(dict(sorted(counts.items(), key=lambda item: -item[1])))

    def contradictions(self, name: str) -> list[NDArray[np.int64]]:
        """Places of the rows whose text stands under two labels or more, text by text."""
        numbers = self.numbers(name)
        order = np.lexsort((self.lines, self.keys))
        order = order[numbers[order] != NONE]
        keys = self.keys[order]
        again = np.concatenate(([False], keys[1:] == keys[:-1])) if len(keys) else np.zeros(0, np.bool_)
        inside = again | np.append(again[1:], False)
        order, keys = order[inside], keys[inside]
        groups = np.split(order, np.flatnonzero(keys[1:] != keys[:-1]) + 1) if len(keys) else []
        return [group for group in groups if len(group) > 1 and len(np.unique(numbers[group])) > 1]


_SPLITS = ("", "train", "validation", "calibration", "test")
