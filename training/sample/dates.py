"""Dates of arrival and closing: a year of office hours that always ends on the same day."""

import datetime as dt
import random

from training.sample.choice import weighted_choice

LAST_MOMENT = dt.datetime(2026, 10, 31, 23, 59, tzinfo=dt.UTC)
"""Fixed instead of the current date: the same rows and seed give the same file on any day."""
DAYS = 365

_BY_WEEKDAY = (1.3, 1.2, 1.1, 1.0, 0.9, 0.15, 0.12)
_BY_HOUR = (1, 1, 1, 1, 2, 4, 9, 25, 60, 80, 85, 75, 50, 60, 75, 70, 60, 45, 25, 15, 10, 8, 5, 2)
_MEDIAN_HOURS = {"urgent": 3.0, "high": 11.0, "normal": 30.0, "low": 70.0}


def arrival_times(rng: random.Random, count: int) -> list[dt.datetime]:
    """`count` moments of arrival, in order."""
    days = [LAST_MOMENT - dt.timedelta(days=back) for back in range(DAYS)]
    weights = [_BY_WEEKDAY[day.weekday()] for day in days]
    found = []
    for day in rng.choices(days, weights, k=count):
        hour = weighted_choice(rng, dict(enumerate(_BY_HOUR)))
        found.append(day.replace(hour=hour, minute=rng.randrange(60), second=rng.randrange(60)))
    return sorted(found)


def closing_time(rng: random.Random, created: dt.datetime, priority: str) -> dt.datetime | None:
    """The moment of closing; None: after the export, so some of the newest rows are open."""
    hours = _MEDIAN_HOURS[priority] * rng.lognormvariate(0, 0.9)
    closed = created + dt.timedelta(seconds=round(hours * 3600))
    return closed if closed <= LAST_MOMENT else None
