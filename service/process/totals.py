"""Metrics of several processes as one: counters shared in files, process figures added up.

Every process writes its counters and histograms into files of its own in one folder; the supervisor reads them all.
What a worker counted outlives it, and the one that takes its place counts on from there.
"""

import os
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.metrics.metrics import PREFIX
from service.process.child import State

_START = "process_start_time_seconds"
_CPU = "process_cpu_seconds"


def share_counters(folder: Path, name: str) -> None:
    """From now on what this process counts stands in `folder`. Call it before the first metric is made.

    Args:
        name: no two processes alive at once may have the same; one that follows another counts on with its name.
    """
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)  # where the library looks; there is no other way to tell it
    values.ValueClass = values.MultiProcessValue(lambda: name)  # type: ignore[no-untyped-call]


def totals(
    folder: Path,
    pids: Callable[[], Sequence[int]],
    states: Callable[[], Mapping[State, int]],
    gauges: Sequence[Collector],
) -> CollectorRegistry:
    """A registry of everything the processes count and are.

    Args:
        folder: where they count.
        pids: of the workers that live.
        states: how many workers are in each.
        gauges: what the whole is, beyond its processes.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
    PlatformCollector(registry=registry)
    registry.register(ProcessTotals(pids))
    registry.register(WorkerStates(states))
    for each in gauges:
        registry.register(each)
    return registry


class WorkerStates(Collector):
    def __init__(self, states: Callable[[], Mapping[State, int]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(f"{PREFIX}_workers", "Worker processes, by state.", labels=["state"])
        for state, count in self._states().items():
            family.add_metric([state], count)
        yield family


class ProcessTotals(Collector):
    """`process_*` of this process and its children together; the start is this one's."""

    def __init__(self, pids: Callable[[], Sequence[int]]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        figures = [_figures(pid) for pid in self._pids()]
        for family in ProcessCollector(registry=None).collect():
            sample = family.samples[0]
            value = sample.value
            if family.name != _START:
                value += sum(each.get(family.name, 0) for each in figures)
            if family.name == _CPU:
                value += _ended_cpu_seconds()
            family.samples = [sample._replace(value=value)]
            yield family


def _figures(pid: int) -> Mapping[str, float]:
    """A process's figures by their names; none of one that has just ended."""
    collector = ProcessCollector(registry=None, pid=lambda: pid)
    return {family.name: family.samples[0].value for family in collector.collect()}


def _ended_cpu_seconds() -> float:
    """What children used that are no more: a counter may not fall when one dies."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
