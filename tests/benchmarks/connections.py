"""Valid clients beside thousands of idle and slow connections: success and latency, with and without them.

    python -m tests.benchmarks.connections [BUNDLE] [--connections 5000] [--requests 2000]

Without a bundle a tiny one is made. Exits with 1 if a request is not answered with a 200, or if the 99th percentile
beside the connections is more than twice the usual one. Other processes can double a percentile of some milliseconds,
so the percentile has up to three tries; a missing answer fails at once.
"""

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from service.server.limits import allowed_connections
from tests.faults.command import bundle_or_tiny
from tests.faults.http.cases import get, head, post
from tests.faults.http.test_connections import connect
from tests.support.process import Service, serving

KINDS = (b"", get(), head()[:-2], post(b'{"body":"hello"}')[:-1])
TIMES_USUAL = 2.0
"""Upper limit of the 99th percentile."""
TRIES = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """The number of requests with a 200; median and 99th percentile in milliseconds."""

    answered: int
    requests: int
    median: float
    p99: float


@dataclass(frozen=True, slots=True)
class Try:
    """The same requests alone and beside the connections."""

    alone: Figures
    beside: Figures

    @property
    def all_answered(self) -> bool:
        return all(one.answered == one.requests for one in (self.alone, self.beside))

    @property
    def soon(self) -> bool:
        return self.beside.p99 <= TIMES_USUAL * self.alone.p99


def targets_met(tries: Iterable[Try]) -> bool:
    """Whether all were answered in every try, and fast enough in one; later tries are not made then."""
    for one in tries:
        if not one.all_answered:
            return False
        if one.soon:
            return True
    return False


def attempt(bundle: Path, connections: int, requests: int) -> Try:
    with serving(bundle, "--cache-entries", "0") as service, contextlib.ExitStack() as opened:
        measure(service, requests)
        alone = report("alone", service, requests)
        for number in range(connections):
            opened.enter_context(connect(service.port, KINDS[number % len(KINDS)]))
        return Try(alone, report(f"beside {connections}", service, requests))


def report(label: str, service: Service, requests: int) -> Figures:
    found = measure(service, requests)
    memory = service.counts("^process_resident_memory_bytes") / 1e6
    latency = f"p50 {found.median:.2f} ms, p99 {found.p99:.2f} ms"
    print(f"{label:<24} {found.answered} of {requests} answered, {latency}, {memory:.0f} MB", flush=True)
    return found


def measure(service: Service, requests: int) -> Figures:
    """One after the other, each on its own connection."""
    codes, seconds = [], []
    for number in range(requests):
        started = time.perf_counter()
        with connect(service.port, post(b'{"body":"hello number %d"}' % number)) as connection:
            codes.append(connection.recv(65536).split()[1])
        seconds.append(time.perf_counter() - started)
    p99 = statistics.quantiles(seconds, n=100)[98]
    return Figures(codes.count(b"200"), requests, 1000 * statistics.median(seconds), 1000 * p99)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--requests", type=int, default=2000)
    given = parser.parse_args()
    allowed_connections(given.connections)  # raises this process's limit of open files as well
    with bundle_or_tiny(given.bundle) as bundle:
        tries: Iterator[Try] = (attempt(bundle, given.connections, given.requests) for _ in range(TRIES))
        return not targets_met(tries)


if __name__ == "__main__":
    sys.exit(main())
