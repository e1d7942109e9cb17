"""A day of e-mails to a support inbox: how many, when, and how long.

No public set of tickets says when they came, so the shape is an assumption, written down here: little at night, two
humps on working days, Monday the fullest for what the weekend left, a fifth of a working day on a day of the weekend.
Two events are added: a mailing to all customers, which many answer within the quarter of an hour, and an outage, which
comes at once and fades. Arrivals are a Poisson process. `cluster.py` plays them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

HOUR, DAY = 3600, 86_400
HOURS = (8, 6, 5, 4, 5, 9, 22, 45, 80, 108, 114, 106, 88, 94, 104, 98, 88, 70, 50, 40, 34, 28, 20, 12)
"""E-mails by hour of a working day, relative."""
WEEKDAYS = {"Mon": 1.25, "Tue": 1.05, "Wed": 1.0, "Thu": 1.0, "Fri": 0.9, "Sat": 0.25, "Sun": 0.2}
TOKENS = ((0, 0.05, 0.5, 0.95, 1), (8, 29, 168, 248, 256))
"""Quantiles of a ticket's tokens: the long complaints of docs/results.md, cut at what the model reads."""


@dataclass(frozen=True, slots=True)
class Event:
    """For a while `factor` times the traffic of the moment it begins: all the time, or fading to a half every
    `half_life` seconds."""

    name: str
    begin: float
    seconds: float
    factor: float
    half_life: float | None = None

    def extra(self, moments: Array, rate_then: float) -> Array:
        """E-mails per second on top."""
        since = moments - self.begin
        fading = 0.5 ** (since / self.half_life) if self.half_life else np.ones_like(since)
        return np.where((since >= 0) & (since < self.seconds), (self.factor - 1) * rate_then * fading, 0.0)


MAILING = Event("mailing", 11 * HOUR, 900, 10)
OUTAGE = Event("outage", 15.5 * HOUR, 2 * HOUR, 6, half_life=1200)


@dataclass(frozen=True, slots=True)
class Day:
    """`rate`: e-mails per second expected in every second. `moments` of arrival in seconds, rising, with `tokens`."""

    rate: Array
    moments: Array
    tokens: NDArray[np.int64]


def weekly_share(weekday: str) -> float:
    return WEEKDAYS[weekday] / sum(WEEKDAYS.values())


def peak_factor() -> float:
    """The fullest hour of the week over the mean hour, without events."""
    return weekly_share("Mon") * max(HOURS) / sum(HOURS) * 7 * 24


def usual_rate(per_week: float, weekday: str, moments: Array) -> Array:
    """E-mails per second without events; between the middles of two hours it changes evenly."""
    middles = (np.arange(len(HOURS)) + 0.5) * HOUR
    hourly = np.interp(moments, middles, HOURS, period=DAY)
    return hourly / sum(HOURS) / HOUR * per_week * weekly_share(weekday)


def day(per_week: float, seed: int, weekday: str = "Mon", events: tuple[Event, ...] = (MAILING, OUTAGE)) -> Day:
    seconds = np.arange(DAY, dtype=np.float64)
    usual = usual_rate(per_week, weekday, seconds)
    rate = usual + sum(event.extra(seconds, usual[int(event.begin)]) for event in events)
    return drawn(rate, seed)


def drawn(rate: Array, seed: int) -> Day:
    """Random arrivals at this many per second, one figure for every second."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rate)
    moments = np.sort(np.repeat(np.arange(len(rate)), counts) + rng.random(counts.sum()))
    tokens = np.interp(rng.random(len(moments)), *TOKENS).astype(np.int64)
    return Day(rate, moments, tokens)


def mean_tokens() -> float:
    shares, tokens = TOKENS
    return float(np.trapezoid(tokens, shares))
