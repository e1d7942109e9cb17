"""The cost of each phase of the rehearsal: requests, losses, requests sent twice by the proxy, and latencies."""

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.rollout.proxy import Counters, Proxy
from tests.benchmarks.rollout.traffic import Asked, Traffic

HEAD = f"{'phase':44s} {'seconds':>7s} {'requests':>8s} {'lost':>5s} {'re-sent':>7s}   p50 ms   p99 ms   max ms"


@dataclass(frozen=True, slots=True)
class Phase:
    """Requests that were due in the phase. `resent` counts the proxy's repeated requests."""

    name: str
    seconds: float
    asked: Sequence[Asked]
    resent: Counters

    @property
    def faults(self) -> dict[str, int]:
        """The faults, with their numbers."""
        return dict(Counter(each.fault for each in self.asked if each.fault))

    @property
    def versions(self) -> Set[str]:
        """The versions that valid answers named."""
        return {each.version for each in self.asked if not each.fault}

    def row(self) -> str:
        taken = [1000 * (each.finished - each.due) for each in self.asked]
        middle, high = np.percentile(taken, (50, 99))
        lost, resent = sum(self.faults.values()), self.resent.retries + self.resent.redispatches
        counts = f"{self.seconds:7.0f} {len(self.asked):8d} {lost:5d} {resent:7d}"
        faults = f"  {self.faults}" if lost else ""
        return f"{self.name:44s} {counts} {middle:8.1f} {high:8.1f} {max(taken):8.1f}{faults}"


@dataclass(frozen=True, slots=True)
class Span:
    """A phase whose last answers are still missing. Times in seconds of `time.perf_counter`."""

    name: str
    begin: float
    end: float
    resent: Counters


class PhaseLog:
    """Phases in order; read `phases` after the traffic has ended, when every request has its answer."""

    def __init__(self, traffic: Traffic, proxy: Proxy) -> None:
        self._traffic = traffic
        self._proxy = proxy
        self._spans: list[Span] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begin, before = time.perf_counter(), self._proxy.counters()
        yield
        self._spans.append(Span(name, begin, time.perf_counter(), self._proxy.counters() - before))

    def phases(self) -> list[Phase]:
        return [
            Phase(span.name, span.end - span.begin, self._between(span.begin, span.end), span.resent)
            for span in self._spans
        ]

    def _between(self, begin: float, end: float) -> list[Asked]:
        return [each for each in self._traffic.asked if begin <= each.due < end]
