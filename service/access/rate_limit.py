"""Rates per key, as token buckets in tickets. One key's full use of its own costs the others nothing."""

import time
from collections.abc import Callable, Iterable

from service.access.caller import Caller, Rate
from service.errors import RateLimited


class RateLimiter:
    """Use from one event loop only. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def keep(self, callers: Iterable[Caller]) -> None:
        """From now on these. Who had the same rate before goes on as full, or as empty, as it was."""
        before, now = self._buckets, self._clock()
        self._buckets = {
            caller.name: before[caller.name]
            if caller.name in before and before[caller.name].rate == caller.rate
            else _Bucket(caller.rate, now)
            for caller in callers
            if caller.rate is not None
        }

    def take(self, caller: Caller, tickets: int, least: int) -> None:
        """Take so many out of the caller's bucket where it holds at least `least`; it may come to owe some.

        Raises:
            RateLimited: it holds less; says when it will hold enough.
        """
        bucket = self._buckets.get(caller.name)
        if bucket is not None:
            bucket.take(tickets, least, self._clock())


class _Bucket:
    __slots__ = ("_at", "_level", "rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate = rate
        self._level: float = rate.burst
        self._at = now

    def take(self, tickets: int, least: int, now: float) -> None:
        rate = self.rate
        self._level = min(rate.burst, self._level + (now - self._at) * rate.tickets_per_second)
        self._at = now
        if self._level < least:
            raise RateLimited((least - self._level) / rate.tickets_per_second)
        self._level -= tickets
