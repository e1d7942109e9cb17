"""The cost of reading: CPU seconds, with the service's budgets or without."""

import contextlib
import time
from collections.abc import Callable

from models.cpu_budget import MAIL_SECONDS, TEXT_SECONDS, Budget
from models.errors import TooComplex
from models.mail.parse import parse_email
from models.text.prepare import PreparedText, prepare
from models.ticket import Ticket

CPU_SECONDS = 1.0
"""For any input of a megabyte: four times the target that `tests.benchmarks.hostile` measures, so that a slow or
shared machine fails no test. Quadratic work takes far longer."""


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this thread, the best of three, since the machine may be busy."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
        if times[-1] < CPU_SECONDS / 100:  # too little for the difference to matter
            break
    return min(times)


def read(raw: bytes, budget: Budget | None = None) -> PreparedText | None:
    """A mail's text; None if it is too complex. The default budget is the service's."""
    with contextlib.suppress(TooComplex):
        return read_ticket(parse_email(raw, budget or Budget(MAIL_SECONDS)), budget)
    return None


def read_ticket(ticket: Ticket, budget: Budget | None = None) -> PreparedText | None:
    with contextlib.suppress(TooComplex):
        return prepare(ticket, budget or Budget(TEXT_SECONDS))
    return None
