"""The figures of a simulation by which a rule is chosen. `plot.py` draws the same day."""

import itertools
from dataclasses import dataclass

from tests.benchmarks.autoscaling.cluster import MINUTE, Replay
from tests.benchmarks.autoscaling.traffic import HOUR, Event

PROMISE = 0.99
"""Share of tickets to be answered in time, in every minute."""
SETTLING = 15
"""Minutes after an event in which a bad minute is still attributed to it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares are of all tickets, 0…1; `refusals` can exceed the tickets refused, for they come again.

    Args:
        bad_minutes: minutes in which less than the promised share was answered in time.
        recovery: minutes from an event's begin to the end of its last bad minute.
        removals: how often pods were taken away.
    """

    in_time: float
    refusals: float
    lost: float
    bad_minutes: int
    recovery: int
    pod_hours: float
    most_pods: int
    removals: int


def figures(replay: Replay, event: Event) -> Figures:
    tickets = sum(replay.tickets)
    bad = [minute for minute in range(len(replay.tickets)) if _bad(replay, minute)]
    begin = int(event.begin) // MINUTE
    end = begin + int(event.seconds) // MINUTE + SETTLING
    of_event = [minute for minute in bad if begin <= minute < end]
    counts = [sample.replicas for sample in replay.samples]
    return Figures(
        sum(replay.in_time) / tickets,
        sum(replay.refusals) / tickets,
        sum(replay.lost) / tickets,
        len(bad),
        of_event[-1] + 1 - begin if of_event else 0,
        replay.pod_seconds / HOUR,
        replay.most_pods,
        sum(after < before for before, after in itertools.pairwise(counts)),
    )


def _bad(replay: Replay, minute: int) -> bool:
    return replay.in_time[minute] < PROMISE * replay.tickets[minute]


HEADER = (
    f"{'':34s} {'< 500 ms':>9s} {'429':>7s} {'lost':>7s} {'bad min':>7s} {'recov.':>6s}"
    f" {'pod-h':>6s} {'most':>4s} {'removed':>7s}"
)


def line(name: str, found: Figures) -> str:
    return (
        f"{name:34s} {found.in_time:9.3%} {found.refusals:7.2%} {found.lost:7.3%} {found.bad_minutes:7d}"
        f" {found.recovery:6d} {found.pod_hours:6.1f} {found.most_pods:4d} {found.removals:7d}"
    )
