"""`Budget`: how much CPU a ticket may take to be read; what takes more is left to people, who read it better.

The limits in `mime`, `html` and `text` come first: they give the same answer on every machine. This is for what passes
them and is still hostile. Training reads without one: nobody waits, and its rows must not depend on the machine.
"""

import time
from collections.abc import Callable

from models.errors import TooComplex

MAIL_SECONDS = 0.08
"""For a mail's structure. Ordinary mails take a millisecond, the largest newsletters ten."""
TEXT_SECONDS = 0.12
"""For cleaning its text. With the checks' distance and the tokenizer it comes to less than 250 ms for any ticket."""
_STRIDE = 16
"""Checks per look at the clock: a look costs up to a microsecond, the work between two checks some ten of them."""


class Budget:
    """CPU seconds of the thread that made it. For one ticket, and not to be handed to another thread."""

    __slots__ = ("_checks", "_clock", "_ends")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._ends = clock() + seconds
        self._checks = 0

    def check(self) -> None:
        """Called in the loops over tags, lines and parts.

        Raises:
            TooComplex: the time is used up.
        """
        self._checks += 1
        if self._checks % _STRIDE == 0:
            self.check_now()

    def check_now(self) -> None:
        """Called between stages, where there are few of them.

        Raises:
            TooComplex: the time is used up.
        """
        if self._clock() >= self._ends:
            raise TooComplex


class _Unlimited(Budget):
    """Never used up."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0.0, float)

    def check(self) -> None:
        pass

    check_now = check


UNLIMITED: Budget = _Unlimited()
