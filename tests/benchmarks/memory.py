"""Resident memory of a process over time: samples taken under load, and their slope.

`soak.py`, `reload.py` and `start.py` use it.
"""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import psutil

MEGABYTE = 1e6
_BLOCKS = 20


def resident_megabytes(pid: int) -> float:
    """The process's resident memory now."""
    return float(psutil.Process(pid).memory_info().rss / MEGABYTE)


@dataclass(frozen=True, slots=True)
class Slope:
    """Megabytes per hour, and half the width of its 95 % interval."""

    middle: float
    margin: float


def slope(samples: Sequence[tuple[float, float]]) -> Slope:
    """The growth of memory by least squares over (seconds, megabytes); with fewer than three samples there is none.

    Means of twenty stretches are fitted, not the samples: neighbouring samples depend on each other, and an interval
    that takes them for independent would be far too narrow.
    """
    if len(samples) < 3:
        return Slope(math.nan, math.inf)
    blocks = np.array_split(np.array(samples), min(_BLOCKS, len(samples)))
    hours, megabytes = np.array([block.mean(axis=0) for block in blocks]).T
    hours = (hours - hours.mean()) / 3600
    rise = float(hours @ megabytes / (hours @ hours))
    rest = megabytes - megabytes.mean() - rise * hours
    error = float(np.sqrt(rest @ rest / (len(blocks) - 2) / (hours @ hours)))
    return Slope(rise, 1.96 * error)


@dataclass
class Watch:
    """Samples a process's memory inside a `with`."""

    pid: int
    seconds: float
    samples: list[tuple[float, float]] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def second_half(self) -> list[tuple[float, float]]:
        return self.samples[len(self.samples) // 2 :]

    def _sample(self) -> None:
        while not self._ended.wait(self.seconds):
            self.samples.append((time.perf_counter(), resident_megabytes(self.pid)))
