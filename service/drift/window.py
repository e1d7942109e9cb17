"""Counts what the model says of the last day's tickets, and compares it with the bundle's reference.

`routing/router.py` adds tickets, `admin` reads. Each process has its own window, in memory: it is empty after a start,
and after a reload of another bundle. Equal texts count once while the cache has them, as they are one row in training.
"""

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Bins, ModelEntry, Reference
from models.scoring import Outcome, Verdict
from models.text.script import SCRIPTS, dominant_script
from service.drift.shift import Shift, fewest_tickets, shift

HOURS = 24
"""A whole day: nights and mornings write about other things."""
MOST_HOURS = 168
"""With too few tickets in a day, as many hours as needed, up to a week."""
FEWEST_ROUTED = 100
"""For a mean of confidences, which vary little."""
TOP = 3


class Moved(NamedTuple):
    """A bin whose share is not what it was; both shares in 0…1."""

    bin: str
    expected: float
    found: float


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal against the reference. `shift` None: fewer tickets than `fewest`, or a reference of too few rows.
    `moved`: the bins whose shares differ most."""

    fewest: int
    shift: Shift | None
    moved: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class ExpectedPrecision:
    """The mean calibrated confidence of a field's routed tickets, and the precision that its thresholds promise.
    `value` None: too few are routed."""

    routed: int
    value: float | None
    promised: float


@dataclass(frozen=True, slots=True)
class Drift:
    """`reference_rows` None: the bundle has no reference, so there are no signals."""

    reference_rows: int | None
    tickets: int
    hours: float
    signals: Mapping[str, Signal]
    expected_precision: Mapping[str, ExpectedPrecision]


@dataclass(slots=True)
class _Hour:
    """The tickets of an hour: `counts` of all signals' bins, one after the other; by field, routed tickets and the sum
    of their confidences."""

    number: int
    counts: list[int]
    routed: list[int]
    confidence: list[float]
    tickets: int = 0
    final: NDArray[np.int64] | None = None
    """`counts`, once the hour is over."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """A signal: the names of its bins, the reference's counts, and its place among all counts."""

    bins: tuple[str, ...]
    expected: tuple[int, ...]
    start: int

    @property
    def fewest(self) -> int:
        return fewest_tickets(self.expected)

    def read(self, counts: NDArray[np.int64], tickets: int) -> Signal:
        if tickets < self.fewest:
            return Signal(self.fewest, None, ())
        found = counts[self.start : self.start + len(self.bins)].tolist()
        rows, seen = max(sum(self.expected), 1), max(sum(found), 1)
        shares = [
            Moved(name, row / rows, ticket / seen)
            for name, row, ticket in zip(self.bins, self.expected, found, strict=True)
        ]
        shares.sort(key=lambda moved: -abs(moved.found - moved.expected))
        return Signal(self.fewest, shift(self.expected, found), tuple(shares[:TOP]))


class DriftWindow:
    """The window of one graph. Use from one event loop only."""

    def __init__(self, entry: ModelEntry, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._reference = entry.reference
        self._signals = {} if entry.reference is None else _signals_of(entry, entry.reference)
        self._fewest = max((signal.fewest for signal in self._signals.values()), default=0)
        self._promises = {each.name: each.promise.route_precision for each in entry.fields}
        self._labels = {
            each.name: {
                label.name: self._signals[f"predicted_{each.name}"].start + number
                for number, label in enumerate(each.labels)
            }
            for each in (entry.fields if self._signals else ())
        }
        self._bins = sum(len(signal.bins) for signal in self._signals.values())
        self._scripts = {name: number for number, name in enumerate(SCRIPTS)}
        self._hours: deque[_Hour] = deque()

    def add(self, text: str, tokens: int, verdict: Verdict) -> None:
        """Count a ticket that the model answered."""
        if not verdict.is_valid:
            return
        hour = self._current_hour()
        hour.tickets += 1
        fields = (verdict.department, *verdict.fields.values())
        for number, answer in enumerate(fields):
            if answer.outcome is Outcome.ROUTE:
                hour.routed[number] += 1
                hour.confidence[number] += answer.confidence
        reference = self._reference
        if reference is None:
            return
        counts, signals = hour.counts, self._signals
        for labels, answer in zip(self._labels.values(), fields, strict=True):
            counts[labels[answer.candidates[0].label]] += 1
        counts[signals["confidence"].start + bisect_right(reference.confidence.edges, fields[0].confidence)] += 1
        counts[signals["length"].start + bisect_right(reference.length.edges, tokens)] += 1
        counts[signals["script"].start + self._scripts[dominant_script(text)]] += 1
        if reference.familiarity is not None and verdict.familiarity is not None:
            counts[signals["familiarity"].start + bisect_right(reference.familiarity.edges, verdict.familiarity)] += 1

    def read(self) -> Drift:
        now = int(self._clock() // 3600)
        counts = np.zeros(self._bins, dtype=np.int64)
        tickets, routed, confidence = 0, np.zeros(len(self._promises)), np.zeros(len(self._promises))
        first = self._clock()
        for hour in reversed(self._hours):
            age = now - hour.number
            if age > MOST_HOURS or (age > HOURS and tickets >= self._fewest):
                break
            counts += np.array(hour.counts, dtype=np.int64) if hour.final is None else hour.final
            tickets += hour.tickets
            routed += hour.routed
            confidence += hour.confidence
            first = max(hour.number * 3600, self._began)
        return Drift(
            reference_rows=None if self._reference is None else self._reference.rows,
            tickets=tickets,
            hours=(self._clock() - first) / 3600,
            signals={name: signal.read(counts, tickets) for name, signal in self._signals.items()},
            expected_precision={
                name: ExpectedPrecision(int(count), float(total / count) if count >= FEWEST_ROUTED else None, promised)
                for (name, promised), count, total in zip(self._promises.items(), routed, confidence, strict=True)
            },
        )

    def _current_hour(self) -> _Hour:
        number = int(self._clock() // 3600)
        if self._hours and self._hours[-1].number == number:
            return self._hours[-1]
        if self._hours:
            last = self._hours[-1]
            last.final = np.array(last.counts, dtype=np.int64)
        while self._hours and number - self._hours[0].number > MOST_HOURS:
            self._hours.popleft()
        fields = len(self._promises)
        self._hours.append(_Hour(number, [0] * self._bins, [0] * fields, [0.0] * fields))
        return self._hours[-1]


def _signals_of(entry: ModelEntry, reference: Reference) -> dict[str, _Measured]:
    wanted: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
        f"predicted_{each.name}": (tuple(label.name for label in each.labels), reference.labels[each.name])
        for each in entry.fields
    }
    numbers = {"confidence": reference.confidence, "length": reference.length, "familiarity": reference.familiarity}
    wanted |= {name: (_ranges(bins), bins.counts) for name, bins in numbers.items() if bins is not None}
    wanted["script"] = (SCRIPTS, tuple(reference.scripts.get(script, 0) for script in SCRIPTS))
    signals, start = {}, 0
    for name, (bins, expected) in wanted.items():
        signals[name] = _Measured(bins, expected, start)
        start += len(bins)
    return signals


def _ranges(bins: Bins) -> tuple[str, ...]:
    edges = [f"{edge:.4g}" for edge in bins.edges]
    if not edges:
        return ("all",)
    return (
        f"below {edges[0]}",
        *(f"{low} to {high}" for low, high in pairwise(edges)),
        f"from {edges[-1]}",
    )
