"""From records to figures: medians over rounds with their spread, and ratios within each round.

`report.py` and `plot.py` print them. A ratio is computed round by round before its median is taken, because a noisy
machine slows a server and the bare loop of the same round alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.serving.records import Ceiling, Closed, Results, Single

BASE = "fp32"

ByRound = dict[int, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median over rounds, the least and the most."""

    middle: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread | None:
    """None if nothing was measured."""
    found = [value for value in values if value == value]
    return Spread(median(found), min(found), max(found)) if found else None


def ratio(ours: ByRound, theirs: ByRound) -> Spread | None:
    """Ours divided by the other's, in the rounds that have both."""
    return spread(ours[number] / theirs[number] for number in ours if theirs.get(number))


@dataclass(frozen=True, slots=True)
class Figures:
    """One workload's records."""

    results: Results
    workload: str

    @property
    def servers(self) -> list[str]:
        """In the order of the first round, which began with ours."""
        return list(dict.fromkeys(record.server for record in self._closed()))

    @property
    def callers(self) -> list[int]:
        return sorted({record.callers for record in self._closed()})

    @property
    def variants(self) -> list[str]:
        return list(dict.fromkeys(record.variant for record in self._ceilings()))

    @property
    def shares(self) -> list[float]:
        return sorted({record.share for record in self.results.open if record.workload == self.workload})

    def closed(self, server: str, callers: int, figure: str) -> ByRound:
        records = (r for r in self._closed() if r.server == server and r.callers == callers)
        return {record.round: getattr(record, figure) for record in records}

    def open(self, server: str, share: float, figure: str) -> ByRound:
        records = (r for r in self.results.open if r.workload == self.workload and r.server == server)
        return {record.round: getattr(record, figure) for record in records if record.share == share}

    def errors(self, server: str) -> int:
        records = [*self._closed(), *(r for r in self.results.open if r.workload == self.workload)]
        return sum(record.errors for record in records if record.server == server)

    def best_loop(self, variant: str) -> Ceiling | None:
        """One record of the setting with the highest median over rounds."""
        settings: dict[tuple[int, int], list[Ceiling]] = {}
        for record in self._ceilings():
            if record.variant == variant:
                settings.setdefault((record.threads, record.batch), []).append(record)
        ranked = sorted(settings.values(), key=lambda records: median(r.rate for r in records))
        return ranked[-1][0] if ranked else None

    def ceiling(self, variant: str) -> ByRound:
        """Tickets/s of the best setting, by round."""
        best = self.best_loop(variant)
        records = (r for r in self._ceilings() if r.variant == variant)
        if best is None:
            return {}
        return {r.round: r.rate for r in records if (r.threads, r.batch) == (best.threads, best.batch)}

    def single(self, variant: str, figure: str = "median") -> ByRound:
        """Milliseconds of a bare single run, in the thread setting whose median is lowest."""
        settings: dict[int, list[Single]] = {}
        for record in self.results.singles:
            if record.workload == self.workload and record.variant == variant:
                settings.setdefault(record.threads, []).append(record)
        ranked = sorted(settings.values(), key=lambda records: median(r.median for r in records))
        return {record.round: getattr(record, figure) for record in ranked[0]} if ranked else {}

    def _closed(self) -> list[Closed]:
        return [record for record in self.results.closed if record.workload == self.workload]

    def _ceilings(self) -> list[Ceiling]:
        return [record for record in self.results.ceilings if record.workload == self.workload]
