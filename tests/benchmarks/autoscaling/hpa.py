"""Kubernetes' horizontal pod autoscaler, as documented: computes the number of pods from a rule and the pods' metrics.

Follows "Algorithm details" of the documentation's page on horizontal pod autoscaling, and `autoscaling/v2`'s behaviour.
One simplification: CPU is compared in thousandths of the request, not rounded down to a percent. `rule.py` reads the
rule, `cluster.py` has the pods.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks.autoscaling.rule import MILLI, Metric, Policy, Rule, Scaling

TOLERANCE = 0.1
"""A ratio this close to 1 changes nothing (--horizontal-pod-autoscaler-tolerance)."""


Event = tuple[float, int]
"""A moment, and a number of pods."""


@dataclass(frozen=True, slots=True)
class Readings:
    """One metric of all pods that are not ending.

    Args:
        known: values in thousandths.
        missing: pods that run and have no value.
        unready: pods that have not started; and for CPU those that have just done so.
    """

    known: tuple[int, ...]
    missing: int = 0
    unready: int = 0


def proposal(current: int, readings: Readings, metric: Metric) -> int | None:
    """The number of pods proposed by one metric; None if no pod has a value."""
    if not readings.known:
        return None
    ratio = _ratio(readings.known, metric.target)
    if not readings.missing and not (readings.unready and ratio > 1):
        return current if _small(ratio) else math.ceil(ratio * len(readings.known))
    values = readings.known + (_assumed(metric) if ratio < 1 else 0,) * readings.missing
    if ratio > 1:
        values += (0,) * readings.unready
    cautious = _ratio(values, metric.target)
    wanted = math.ceil(cautious * len(values))
    turned = (cautious - 1) * (ratio - 1) < 0 or (cautious - 1) * (wanted - current) < 0
    return current if _small(cautious) or turned else wanted


def recommendation(current: int, proposals: Sequence[int | None]) -> int | None:
    """The largest proposal; None if no metric can be read, or if one cannot and the others would remove pods."""
    known = [each for each in proposals if each is not None]
    best = max(known, default=None)
    return None if best is None or (len(known) < len(proposals) and best < current) else best


@dataclass(slots=True)
class Autoscaler:
    """A rule and its state. Times in seconds, ascending.

    `recommended`: past recommendations with their times. `grown`, `shrunk`: pods added and removed, with their times.
    """

    rule: Rule
    recommended: list[Event] = field(default_factory=list)
    grown: list[Event] = field(default_factory=list)
    shrunk: list[Event] = field(default_factory=list)

    def replicas(self, now: float, current: int, readings: Sequence[Readings]) -> int:
        """The new number of pods, given one reading for each of the rule's metrics."""
        wanted = self._wanted(now, current, readings)
        if wanted > current:
            self.grown.append((now, wanted - current))
        elif wanted < current:
            self.shrunk.append((now, current - wanted))
        return wanted

    def _wanted(self, now: float, current: int, readings: Sequence[Readings]) -> int:
        if not self.rule.low <= current <= self.rule.high:
            return min(max(current, self.rule.low), self.rule.high)
        if not self.recommended:
            self.recommended.append((now, current))
        pairs = zip(readings, self.rule.metrics, strict=True)
        wanted = recommendation(current, [proposal(current, reading, metric) for reading, metric in pairs])
        return current if wanted is None else self._limited(now, current, self._stabilised(now, current, wanted))

    def _stabilised(self, now: float, current: int, wanted: int) -> int:
        """The smallest recent recommendation on the way up, the largest on the way down."""
        longest = max(self.rule.up.window, self.rule.down.window)
        self.recommended = [(moment, count) for moment, count in self.recommended if moment >= now - longest]
        rising = wanted >= current
        window, choose = (self.rule.up.window, min) if rising else (self.rule.down.window, max)
        recent = [count for moment, count in self.recommended if moment > now - window]
        self.recommended.append((now, wanted))
        return choose([wanted, *recent])

    def _limited(self, now: float, current: int, wanted: int) -> int:
        """Limited by the policies' steps within their periods."""
        if wanted > current:
            farthest = max(current, _farthest(self.rule.up, current, now, self.grown, +1))
            return min(wanted, self.rule.high, farthest)
        farthest = min(current, _farthest(self.rule.down, current, now, self.shrunk, -1))
        return max(wanted, self.rule.low, farthest)


def _ratio(values: Sequence[int], target: int) -> float:
    return sum(values) // len(values) / target


def _small(ratio: float) -> bool:
    return abs(1 - ratio) <= TOLERANCE


def _assumed(metric: Metric) -> int:
    """The value assumed for a pod without one before pods are removed."""
    return max(MILLI, metric.target) if metric.resource else metric.target


def _farthest(scaling: Scaling, current: int, now: float, events: Sequence[Event], sign: int) -> int:
    """The largest change that the policies allow, upwards (sign +1) or downwards (-1)."""
    if scaling.select == "Disabled":
        return current
    reaches = [_reach(policy, current, _moved(events, now, policy.seconds), sign) for policy in scaling.policies]
    return max(reaches) if (scaling.select == "Max") == (sign > 0) else min(reaches)


def _reach(policy: Policy, current: int, moved: int, sign: int) -> int:
    start = current - sign * moved
    if policy.kind == "Pods":
        return start + sign * policy.value
    # rounded away from the start, so that at least one pod can be added or removed
    return math.ceil(start * (100 + policy.value) / 100) if sign > 0 else start * (100 - policy.value) // 100


def _moved(events: Sequence[Event], now: float, seconds: int) -> int:
    """Pods added (or removed) in the last `seconds`."""
    return sum(count for moment, count in events if moment > now - seconds)
