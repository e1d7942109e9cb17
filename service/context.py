"""The context of one request: its deadline, its caller, and the CPU time for reading its tickets.

The API creates one `RequestContext` per request. `models.cpu_budget` bounds one ticket; a batch in which every ticket
stays just below that bound would occupy the threads for half a minute, so a batch has an `Allowance` as well.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from models.cpu_budget import Budget

T = TypeVar("T")

BATCH_SECONDS = 2.0
"""Twice the cost of the largest batch (4 MB) of ordinary HTML; a hundred tickets of 1.5 KB cost 0.05."""
LEAST_SECONDS = 0.005
"""Budget of a ticket when the allowance is used up: enough for an ordinary ticket of 15 KB, which must not suffer for
the other tickets of its batch."""


class Allowance:
    """CPU seconds for all tickets of one request together. Thread-safe."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._left = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self.costly = False
        """Whether one of the tickets took too long for the event loop. The other tickets then start in threads."""

    def has(self, seconds: float) -> bool:
        """Whether more than `seconds` is left."""
        return self._left > seconds

    def mark_costly(self) -> None:
        """Has no effect on a request of one ticket, which has no other tickets."""
        self.costly = self._left < math.inf

    def run(self, seconds: float, work: Callable[[Budget], T]) -> T:
        """Run with a budget of `seconds`, or of the rest of the allowance, and subtract the time that it took."""
        if self._left == math.inf:
            return work(Budget(seconds, self._clock))
        started = self._clock()
        try:
            return work(Budget(min(seconds, max(self._left, LEAST_SECONDS)), self._clock))
        finally:
            with self._lock:
                self._left -= self._clock() - started


UNLIMITED = Allowance(math.inf)
"""For requests of one ticket: the budget of the ticket is enough."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """`deadline`: in the loop's time; tickets that have not started by then are not run. `caller`: name of the API key,
    for fair queueing; None where no keys are configured. `allowance`: for all tickets of the request."""

    deadline: float
    caller: str | None = None
    allowance: Allowance = UNLIMITED
