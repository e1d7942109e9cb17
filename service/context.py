"""What a request may use: until when, in whose name, and how much CPU the reading of its tickets may take together.

The API makes one `RequestContext` for each request. `models.cpu_budget` bounds one ticket; a batch of tickets that each
stay just below that bound would occupy the threads for half a minute, so a batch has an `Allowance` as well.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models.cpu_budget import Budget

BATCH_SECONDS = 2.0
"""Twice what the largest batch (4 MB) of ordinary HTML takes; a hundred tickets of 1.5 KB take .05."""
LEAST_SECONDS = 0.005
"""What a ticket has when nothing is left: enough for ordinary ones of 15 KB, which cannot help what came with them."""


class Allowance:
    """Threads may draw on it at the same time."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._left = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self.costly = False
        """Whether one of its tickets was too much for the event loop. The others begin in threads then."""

    def has(self, seconds: float) -> bool:
        """Whether more than this is left."""
        return self._left > seconds

    def found_costly(self) -> None:
        """Of a request of one ticket there are no others."""
        self.costly = self._left < math.inf

    @contextmanager
    def budget(self, seconds: float) -> Iterator[Budget]:
        """A budget of so many seconds, or of what is left. What is spent inside is taken off."""
        started = self._clock()
        try:
            yield Budget(min(seconds, max(self._left, LEAST_SECONDS)), self._clock)
        finally:
            with self._lock:
                self._left -= self._clock() - started


UNLIMITED = Allowance(math.inf)
"""For requests of one ticket: its own budget is enough."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """`deadline` in the loop's time: when its tickets need not be run any more. `caller`: whom to be fair to, by the
    name of its key; None where nobody has one, and so nobody is told apart. `allowance`: for all of its tickets."""

    deadline: float
    caller: str | None = None
    allowance: Allowance = UNLIMITED
