"""One behaviour of one alert over made-up series; the modules beside this one hold them all.

Written as promtool's unit tests have it: `0+10x60` is 61 samples that rise by 10, one per `every`. Its clock starts on
a Thursday at midnight UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass

JOB = 'namespace="n", job="ticket-router"'
POD = f'{JOB}, instance="a"'
OTHER = f'{JOB}, instance="b"'


@dataclass(frozen=True)
class Case:
    """`fires` and `quiet` are moments, in minutes. `only` narrows an alert that has several rules."""

    alert: str
    why: str
    series: Mapping[str, str]
    fires: tuple[int, ...] = ()
    quiet: tuple[int, ...] = ()
    only: str = ""
    every: int = 1

    @property
    def name(self) -> str:
        return f"{self.alert}: {self.why}"


def counter(*parts: tuple[float, int]) -> str:
    """A counter that rises by so much for so many samples, one part after another."""
    values, value = ["0"], 0.0
    for step, samples in parts:
        values.append(f"{value + step:.12g}{'+' if step >= 0 else ''}{step:.12g}x{samples - 1}")
        value += step * samples
    return " ".join(values)


def pod(metric: str, which: str = POD, labels: str = "") -> str:
    return f"ticket_router_{metric}{{{which}{labels}}}"


def rejected(reason: str, which: str = POD) -> str:
    return pod("rejected_total", which, f', reason="{reason}"')


def decided(outcome: str = "route", department: str = "d") -> str:
    return pod("decisions_total", labels=f', department="{department}", outcome="{outcome}"')
