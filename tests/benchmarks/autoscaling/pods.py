"""A simulated pod: its runners, its bounded queue, and the counters that Prometheus would read.

Discrete events: a ticket's whole course is known when it arrives, since the queue is first come, first served. Batches
are not simulated; what they gain is in the measured speed. `cluster.py` sends the tickets.
"""

import math
from collections import deque
from dataclasses import dataclass

from models.encoding import padded_length
from service.errors import within_bounds
from service.settings import Settings

MAX_TOKENS = 256
QUEUE_TOKENS: int = Settings.model_fields["queue_tokens"].default


@dataclass(frozen=True, slots=True)
class Speed:
    """What a pod can do.

    Args:
        runners: tickets that run side by side.
        ticket_seconds, token_seconds: a ticket's time on its runner: so much each, and so much per token.
    """

    runners: int
    ticket_seconds: float
    token_seconds: float

    @classmethod
    def measured(cls, runners: int, short: tuple[float, float], long: tuple[float, float]) -> "Speed":
        """Through two measured points, each (tokens on average, tickets per second of the saturated pod)."""
        short_seconds, long_seconds = runners / short[1], runners / long[1]
        per_token = (long_seconds - short_seconds) / (long[0] - short[0])
        return cls(runners, short_seconds - per_token * short[0], per_token)

    def slower(self, times: float) -> "Speed":
        return Speed(self.runners, self.ticket_seconds * times, self.token_seconds * times)

    def seconds(self, tokens: float) -> float:
        return self.ticket_seconds + self.token_seconds * tokens

    def capacity(self, tokens: float) -> float:
        """Tickets per second of a saturated pod, when they have so many tokens on average."""
        return self.runners / self.seconds(tokens)


SPEEDS = {
    "int8": Speed.measured(2, (15, 825), (156, 120)),
    "fp32": Speed.measured(2, (15, 603), (156, 79.2)),
}
"""Pods of two cores with the six-layer model: tickets/s with 64 callers, docs/results.md."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """429 with its Retry-After, in seconds."""

    retry_after: float


class Pod:
    """One pod. Moments in seconds of the simulation, never before one that it was told of earlier."""

    __slots__ = ("_booked", "_free", "_rate", "_speed", "_tokens", "_waiting")

    def __init__(self, speed: Speed, born: float = 0.0, tokens: float = 1.0) -> None:
        """`tokens`: of a ticket on average, for the estimate in Retry-After."""
        self._speed = speed
        self._free = [born] * speed.runners
        self._waiting: deque[tuple[float, int]] = deque()
        self._tokens = 0
        self._booked = 0.0
        self._rate = speed.capacity(tokens) * tokens

    def ask(self, now: float, tokens: int) -> float | Refusal:
        """The moment a ticket that arrives now is answered; or no."""
        waiting = self.queue_tokens(now)
        if waiting >= QUEUE_TOKENS:
            return Refusal(within_bounds(math.ceil(waiting / self._rate)))
        seconds = self._speed.seconds(tokens)
        first_free = min(self._free)
        runner = self._free.index(first_free)
        if first_free > now:
            length = padded_length(tokens, MAX_TOKENS)
            self._waiting.append((first_free, length))
            self._tokens += length
        self._booked += seconds
        self._free[runner] = max(now, first_free) + seconds
        return self._free[runner]

    def queue_tokens(self, now: float) -> int:
        """Padded tokens that wait: `ticket_router_queue_tokens`."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= now:
            self._tokens -= waiting.popleft()[1]
        return self._tokens

    def busy_seconds(self, now: float) -> float:
        """Seconds that runners have run so far: `ticket_router_stage_duration_seconds_sum{stage="infer"}`."""
        return self._booked - sum(max(0.0, moment - now) for moment in self._free)

    def idle_from(self) -> float:
        """The moment it has answered everything it took."""
        return max(self._free)
