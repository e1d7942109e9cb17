"""Rate limits per key: one token bucket of tickets for each caller, independent of the others."""

import time
from collections.abc import Callable, Iterable

from service.access.caller import Caller, Rate
from service.errors import RateLimited


class RateLimiter:
    """Use from one event loop only. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def set_callers(self, callers: Iterable[Caller]) -> None:
        """Replace the callers. A caller whose rate is unchanged keeps its bucket."""
        old, now = self._buckets, self._clock()
        self._buckets = {
            caller.name: old[caller.name]
            if caller.name in old and old[caller.name].rate == caller.rate
            else _Bucket(caller.rate, now)
            for caller in callers
            if caller.rate is not None
        }

    def take(self, caller: Caller, tickets: int, min_level: int) -> None:
        """Take tickets from the caller's bucket if its level is at least `min_level`; the level may become negative.

        Raises:
            RateLimited: the level is lower; `retry_after` is the time until the level is reached.
        """
        bucket = self._buckets.get(caller.name)
        if bucket is not None:
            bucket.take(tickets, min_level, self._clock())


class _Bucket:
    __slots__ = ("_level", "_updated", "rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate = rate
        self._level: float = rate.burst
        self._updated = now

    def take(self, tickets: int, min_level: int, now: float) -> None:
        rate = self.rate
        self._level = min(rate.burst, self._level + (now - self._updated) * rate.tickets_per_second)
        self._updated = now
        if self._level < min_level:
            raise RateLimited((min_level - self._level) / rate.tickets_per_second)
        self._level -= tickets
