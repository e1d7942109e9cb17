"""From which length on a ticket that has no company is faster on more threads: pure judgement over made measurements.

`bench.py` measures the times, `search.py` asks for both.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.inference.tuning.race import MARGIN

SHORTEST = 8


@dataclass(frozen=True, slots=True)
class LoneTimes:
    """One ticket's milliseconds by its padded length, on the ordinary session and on one with `threads`.

    All three sequences have one value per length, the lengths ascending. `threads` None: there is no such session.
    """

    threads: int | None
    lengths: Sequence[int]
    ordinary: Sequence[float]
    lone: Sequence[float]

    @property
    def pays_from(self) -> int | None:
        """The shortest length from which on the lone session is always faster, by the margin."""
        pairs = zip(self.lengths, self.ordinary, self.lone, strict=True)
        too_short = max((length for length, ordinary, lone in pairs if lone * MARGIN > ordinary), default=0)
        return next((length for length in self.lengths if length > too_short), None)

    def milliseconds(self, length: int) -> float:
        """A lone ticket's time when this session takes the lengths that pay."""
        pays = self.pays_from is not None and length >= self.pays_from
        return float(np.interp(length, self.lengths, self.lone if pays else self.ordinary))

    def median(self, lengths: Sequence[int]) -> float:
        """Milliseconds of a lone ticket, median over tickets of these lengths."""
        return statistics.median(map(self.milliseconds, lengths))


def ladder(max_tokens: int) -> list[int]:
    """The padded lengths to measure: doubling, up to the longest ticket that can come."""
    lengths = []
    length = SHORTEST
    while length < max_tokens:
        lengths.append(length)
        length *= 2
    return [*lengths, max_tokens]


def fastest_alone(options: Sequence[LoneTimes], lengths: Sequence[int]) -> LoneTimes:
    """The session that answers lone tickets of these lengths soonest; among equals, the longest possible ticket."""

    def slowness(times: LoneTimes) -> tuple[float, float]:
        return statistics.fmean(map(times.milliseconds, lengths)), times.milliseconds(times.lengths[-1])

    return min(options, key=slowness)
