"""`Budget`: the CPU time for reading one ticket. A ticket that needs more goes to review.

The fixed limits in `mime`, `html` and `text` come first, because they give the same answer on every machine. The budget
stops hostile input that passes those limits. Training reads without a budget: its rows must not depend on the machine.
"""

import time
from collections.abc import Callable

from models.errors import TooComplex

MAIL_SECONDS = 0.08
"""For parsing a mail. Ordinary mails take 1 ms, the largest newsletters 10 ms."""
TEXT_SECONDS = 0.12
"""For cleaning the text. Parsing, cleaning, the work between two checks and the tokenizer take less than 250 ms."""
_STRIDE = 16
"""Checks per reading of the clock: a reading costs up to 1 µs, the work between two checks some 10 µs."""


class Budget:
    """CPU seconds for one ticket, measured on the thread that creates the budget; another thread must not use it."""

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
