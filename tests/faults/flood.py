"""Many bodies of the largest size at once, and the memory they leave behind: `python -m tests.faults.flood`.

Sixty-four connections send the largest allowed batches repeatedly, whole or paused half-way; then the process's memory
is compared with its memory before, and once more after a second flood.
"""

import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.settings import Settings
from tests.benchmarks.memory import resident_megabytes
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.faults.http.cases import head
from tests.faults.servers.stock import started
from tests.support.process import post_head, serving

SENDERS = 64
ROUNDS = 3
GROWTH_MEGABYTES = 20
SETTLE_SECONDS = 3
CHUNKED_MEGABYTES = 192


def largest_batch() -> bytes:
    """Its last byte makes it invalid JSON, so that only reading and parsing happen."""
    tickets = [{"body": "word " * 3000}] * 250
    return json.dumps({"tickets": tickets}).encode()[:-1].ljust(Settings.model_fields["max_batch_body_bytes"].default)


def send(port: int, body: bytes, pause: float) -> bytes:
    """Send the head and half of the body, pause, send the rest; return the status line, or nothing."""
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(post_head("/v1/route/batch", len(body)) + body[: len(body) // 2])
            time.sleep(pause)
            connection.sendall(body[len(body) // 2 :])
            received = connection.recv(64)
    except ConnectionError:
        pass
    return received[9:12]


def flood(port: int, rounds: int = ROUNDS) -> set[bytes]:
    """Count how the requests ended."""
    body = largest_batch()
    with ThreadPoolExecutor(SENDERS) as pool:
        waits = [0.5 * (number % 2) for number in range(SENDERS * rounds)]
        return set(pool.map(lambda wait: send(port, body, wait), waits))


def chunked_without_end(port: int, megabytes: int = CHUNKED_MEGABYTES) -> bytes:
    """Send this many megabytes in chunks of 64 KB on one connection, or until the server closes it."""
    chunk, received = b"10000\r\n" + b" " * 65536 + b"\r\n", b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(head("Transfer-Encoding: chunked"))
            for _ in range(megabytes * 16):
                connection.sendall(chunk)
            connection.sendall(b"0\r\n\r\n")
            received = connection.recv(64)
        except ConnectionError:
            pass
    return received[9:12]


def settled(pid: int) -> float:
    """Megabytes some seconds later: by then connections are closed and bodies freed."""
    time.sleep(SETTLE_SECONDS)
    return resident_megabytes(pid)


def growth(bundle: Path, rounds: int = ROUNDS) -> tuple[float, float, set[bytes]]:
    """Megabytes left behind by a first flood, and by a second one like it."""
    with serving(bundle) as service:
        at_first = resident_megabytes(service.process.pid)
        ends = flood(service.port, rounds)
        before = settled(service.process.pid)
        ends |= flood(service.port, rounds) | {chunked_without_end(service.port)}
        return before - at_first, settled(service.process.pid) - before, ends


def growth_of_stock() -> float:
    with started() as app:
        before = resident_megabytes(app.process.pid)
        chunked_without_end(app.port)
        return settled(app.process.pid) - before


def main() -> int:
    parser = bundle_parser(__doc__)
    arguments = parser.parse_args()
    with bundle_or_tiny(arguments.bundle) as bundle:
        first, later, ends = growth(bundle)
    print(f"{SENDERS} connections x {ROUNDS} bodies of 4 MB, answered {sorted(end.decode() for end in ends)}")
    print(f"memory left behind: {first:+.0f} MB by the first flood, {later:+.0f} MB by the second")
    print(f"a stock application after {CHUNKED_MEGABYTES} MB of chunks: {growth_of_stock():+.0f} MB")
    return not max(first, later) <= GROWTH_MEGABYTES


if __name__ == "__main__":
    sys.exit(main())
