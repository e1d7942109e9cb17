"""Load like a busy service's, without HTTP: so many tickets wait, and each comes again as soon as it is answered.

`bench.py` measures plans with it. Batches are packed by `packing.py` and run side by side on threads, like those of
`batcher.py`.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from models.bundle.bundle import Bundle
from models.bundle.golden import load_rows
from models.encoding import Encoding, padded_length
from service.inference.packing import Packing, Waiting

_ORDER = 4
"""Seed of the order of arrival, so that every plan meets the same one."""


@dataclass(frozen=True, eq=False, slots=True)
class TokenizedTicket:
    encoding: Encoding
    length: int
    """Padded length in tokens when it stands alone."""


class ClosedLoop:
    """What waits and who is free. Any number of threads may use it."""

    def __init__(self, tickets: Sequence[TokenizedTicket], packing: Packing, runners: int) -> None:
        self._waiting: Waiting[TokenizedTicket] = Waiting(packing)
        self._free = runners
        self._returned = threading.Condition()
        for ticket in tickets:
            self._waiting.add(ticket)

    def take(self) -> list[TokenizedTicket]:
        """The next batch for a free runner; waits while all tickets are being run by others."""
        with self._returned:
            self._returned.wait_for(lambda: len(self._waiting) > 0)
            batch = self._waiting.take(self._free)
            self._free -= 1
            return batch

    def give_back(self, batch: Sequence[TokenizedTicket]) -> None:
        """The runner is free again, and its tickets line up anew."""
        with self._returned:
            self._free += 1
            for ticket in batch:
                self._waiting.add(ticket)
            self._returned.notify_all()


def golden_tickets(bundle: Bundle) -> list[TokenizedTicket]:
    """The bundle's golden rows: real tickets of those who trained it, in their real lengths.

    Raises:
        BundleError: the rows are damaged.
    """
    longest = bundle.encoder.max_tokens
    encodings = [Encoding(row.ids, truncated=False) for row in load_rows(bundle)]
    return [TokenizedTicket(encoding, padded_length(len(encoding.ids), longest)) for encoding in encodings]


def waiting_line(tickets: Sequence[TokenizedTicket], size: int) -> list[TokenizedTicket]:
    """So many tickets in a fixed random order, each one its own object: repeated ones line up apart."""
    repeated = list(itertools.islice(itertools.cycle(tickets), size))
    random.Random(_ORDER).shuffle(repeated)
    return [TokenizedTicket(ticket.encoding, ticket.length) for ticket in repeated]


def tokens_per_second(
    infer: Callable[[Sequence[Encoding]], object], loop: ClosedLoop, runners: int, seconds: float
) -> float:
    """Tokens done per second, each ticket's padding to stand alone included, by this many threads.

    Tokens and not tickets: a short measurement meets long and short tickets in another share for every plan.
    """
    until = time.perf_counter() + seconds

    def run_batches(_number: int) -> float:
        tokens, started = 0, time.perf_counter()
        while (now := time.perf_counter()) < until or not tokens:
            batch = loop.take()
            try:
                infer([ticket.encoding for ticket in batch])
            finally:
                loop.give_back(batch)
            tokens += sum(ticket.length for ticket in batch)
        return tokens / (now - started)

    with ThreadPoolExecutor(runners, thread_name_prefix="tune") as pool:
        return sum(pool.map(run_batches, range(runners)))
