"""Hostile clients against the service, bare and through the shipped proxy: `python -m tests.faults.bare_and_proxied`.

Three figures for each: 5xx responses to the raw requests of `http/cases.py` and `http/corpus.py`; valid requests beside
thousands of idle and slow connections; the service's memory while hundreds of clients hold back the end of a large
body. The exit status is 1 if there was a 5xx, if a valid request was not answered, or if memory grew by more than the
cap and 60 MB.
"""

import contextlib
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.http.body import IN_FLIGHT_BYTES
from service.server.limits import PUBLIC, allowed_connections
from tests.benchmarks.connections import KINDS
from tests.benchmarks.memory import resident_megabytes
from tests.benchmarks.rollout.proxy import in_front_of
from tests.faults.clients.wire import play_all
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.faults.http.cases import GOOD, head, http_cases, post
from tests.faults.http.corpus import corpus
from tests.faults.http.test_connections import connect
from tests.support.process import Service, serving

CONNECTIONS, REQUESTS = 5000, 1000
BODIES, BODY_BYTES = 400, 3_900_000
MOST_MEGABYTES = IN_FLIGHT_BYTES / 1e6 + 60
PROXY_SETTINGS = {"ROUTER_CONNECTIONS_PER_SOURCE": "100000"}
"""All clients of this command have one address."""


@dataclass(frozen=True, slots=True)
class Found:
    """`grown`: megabytes that the service's process gained at the peak of the half-sent bodies."""

    raw: int
    server_errors: int
    answered: int
    p50: float
    p99: float
    grown: float

    @property
    def passed(self) -> bool:
        return not self.server_errors and self.answered == REQUESTS and self.grown <= MOST_MEGABYTES


@contextlib.contextmanager
def target(bundle: Path, *, proxied: bool) -> Iterator[tuple[Service, int]]:
    with serving(bundle, "--cache-entries", "0") as service, contextlib.ExitStack() as stack:
        port = service.port
        if proxied:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            port = stack.enter_context(in_front_of(service, folder, **PROXY_SETTINGS))
        yield service, port


def measure(bundle: Path, *, proxied: bool) -> Found:
    with target(bundle, proxied=proxied) as (_, port):
        played = play_all(port, [*http_cases(PUBLIC), *corpus(PUBLIC)])
        errors = sum(isinstance(one.result, int) and one.result >= 500 for one in played)
    with target(bundle, proxied=proxied) as (_, port):
        ask(port, REQUESTS)
        with contextlib.ExitStack() as opened:
            for number in range(CONNECTIONS):
                opened.enter_context(connect(port, KINDS[number % len(KINDS)]))
            codes, seconds = ask(port, REQUESTS)
    with target(bundle, proxied=proxied) as (service, port):
        grown = half_sent(service, port)
    times = sorted(1000 * each for each in seconds)
    return Found(len(played), errors, codes.count(200), times[len(times) // 2], times[len(times) * 99 // 100], grown)


def ask(port: int, count: int) -> tuple[list[int], list[float]]:
    """Statuses and seconds of valid requests, sent one after another, each on its own connection."""
    codes, seconds = [], []
    for _ in range(count):
        began = time.perf_counter()
        with connect(port, post(GOOD)) as connection:
            received = connection.recv(65536).split()
        codes.append(int(received[1]) if len(received) > 1 else 0)
        seconds.append(time.perf_counter() - began)
    return codes, seconds


def half_sent(service: Service, port: int) -> float:
    """Megabytes at the peak while `HALF_SENT` clients at once send all but the end of a batch."""
    before, peak, over = resident_megabytes(service.process.pid), 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.is_set():
            peak = max(peak, resident_megabytes(service.process.pid))
            time.sleep(0.02)

    def send() -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as sender:
            sender.sendall(head("Content-Length: 4000000", request="POST /v1/route/batch HTTP/1.1"))
            sender.sendall(b" " * BODY_BYTES)
            sender.recv(4096)

    threads = [threading.Thread(target=watch), *(threading.Thread(target=send) for _ in range(BODIES))]
    for thread in threads:
        thread.start()
    for thread in threads[1:]:
        thread.join()
    over.set()
    threads[0].join()
    return peak - before


def main() -> int:
    arguments = bundle_parser(__doc__).parse_args()
    allowed_connections(2 * CONNECTIONS)  # raises the open-files limit of this process, for the clients' sockets
    with bundle_or_tiny(arguments.bundle) as bundle:
        found = {name: measure(bundle, proxied=name == "through the proxy") for name in ("bare", "through the proxy")}
    for name, one in found.items():
        print(f"{name}: {one.server_errors} of {one.raw} raw requests got a 5xx")
        print(
            f"  beside {CONNECTIONS} connections {one.answered} of {REQUESTS}: {one.p50:.1f} ms, p99 {one.p99:.1f} ms"
        )
        print(f"  {BODIES} half-sent bodies of {BODY_BYTES / 1e6:.1f} MB: +{one.grown:.0f} MB at the peak")
    return not all(one.passed for one in found.values())


if __name__ == "__main__":
    sys.exit(main())
