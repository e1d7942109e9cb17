"""Valid clients beside thousands of idle and slow connections: success and latency, with and without them.

`python -m tests.benchmarks.connections BUNDLE [--connections 5000] [--requests 2000]`; exits with 1 when one
of the requests is not answered with a 200.
"""

import argparse
import contextlib
import statistics
import sys
import time
from pathlib import Path

from service.http.limits import allowed_connections
from tests.faults.http_cases import get, head, post
from tests.faults.test_connections import connect
from tests.support.process import Service, serving

KINDS = (b"", get(), head()[:-2], post(b'{"body":"hello"}')[:-1])


def measure(service: Service, requests: int) -> tuple[int, float, float]:
    """How many of the requests, each on a connection of its own, got a 200; median and 99th percentile in ms."""
    codes, seconds = [], []
    for number in range(requests):
        started = time.perf_counter()
        with connect(service.port, post(b'{"body":"hello number %d"}' % number)) as connection:
            codes.append(connection.recv(65536).split()[1])
        seconds.append(time.perf_counter() - started)
    return codes.count(b"200"), 1000 * statistics.median(seconds), 1000 * statistics.quantiles(seconds, n=100)[98]


def report(label: str, service: Service, requests: int) -> bool:
    """Whether all were answered."""
    answered, median, worst = measure(service, requests)
    memory = service.counts("^process_resident_memory_bytes") / 1e6
    print(f"{label:<24} {answered} of {requests} answered, p50 {median:.2f} ms, p99 {worst:.2f} ms, {memory:.0f} MB")
    return answered == requests


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--requests", type=int, default=2000)
    given = parser.parse_args()
    allowed_connections(given.connections)  # raises this process's limit of open files as well
    with serving(given.bundle, "--cache-entries", "0") as service, contextlib.ExitStack() as held:
        measure(service, given.requests)
        alone = report("alone", service, given.requests)
        for number in range(given.connections):
            held.enter_context(connect(service.port, KINDS[number % len(KINDS)]))
        beside = report(f"beside {given.connections}", service, given.requests)
    return 0 if alone and beside else 1


if __name__ == "__main__":
    sys.exit(main())
