"""SIGKILL at a random moment under load, and a start again: `python -m tests.faults.restarts --count 200`.

Timed from the signal to the first 200 on the same port, the death and the new process's whole start in it. After each:
the bundle is whole, and the service answers again.
"""

import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

from models.bundle.bundle import open_bundle
from tests.benchmarks.serving.servers import free_port
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.faults.http_cases import GOOD, post
from tests.faults.load import MIXED, Load
from tests.support.process import ROOT
from tests.support.waiting import wait_until

LOAD_SECONDS = (0.0, 0.5)
START_SECONDS = 60
LONGEST_SECONDS = 3.0
"""From SIGKILL to the first 200; the command fails beyond it."""
POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Place:
    """What outlives the process. `ports`: the public and the management port."""

    bundle: Path
    ports: tuple[int, int]

    def start(self) -> "subprocess.Popen[bytes]":
        public, management = map(str, self.ports)
        flags = ("--port", public, "--management-port", management, "--records", "off")
        command = [sys.executable, "-m", "service", "--bundle", str(self.bundle), "--log-level", "warning", *flags]
        return subprocess.Popen(command, cwd=ROOT)

    def wait_for_a_200(self) -> None:
        wait_until(lambda: ask(self.ports[0]) == 200, START_SECONDS)


@dataclass(frozen=True, slots=True)
class Restarted:
    """`under_way`: requests that the kill cut off."""

    seconds: float
    under_way: int


def ask(port: int) -> int | None:
    """The status of one ticket on a connection of its own; None: there was nobody, or nobody any more."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(post(GOOD, "Connection: close"))
            return int(connection.recv(65536).split()[1])
    except (OSError, IndexError):
        return None


def run(place: Place, count: int, seed: int = 0) -> list[Restarted]:
    """Kill and start again so many times. Ends with an AssertionError at what is not whole, or never answers."""
    random, found = Random(seed), []
    process = place.start()
    try:
        place.wait_for_a_200()
        for _ in range(count):
            with Load(place.ports[0], MIXED) as load:
                wait_until(lambda: load.tally.answered >= len(MIXED))
                time.sleep(random.uniform(*LOAD_SECONDS))
                under_way, began = load.tally.under_way, time.monotonic()
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = place.start()
                place.wait_for_a_200()
                found.append(Restarted(time.monotonic() - began, under_way))
            open_bundle(place.bundle)
    finally:
        process.kill()
        process.wait()
    return found


def new_place(bundle: Path) -> Place:
    return Place(bundle, (free_port(), free_port()))


def main() -> int:
    parser = bundle_parser(__doc__)
    parser.add_argument("--count", type=int, default=200, metavar="N")
    arguments = parser.parse_args()
    with bundle_or_tiny(arguments.bundle) as bundle:
        found = run(new_place(bundle), arguments.count)
    seconds, under_way = [each.seconds for each in found], [each.under_way for each in found]
    print(f"{len(found)} kills with {min(under_way)} to {max(under_way)} requests under way, all whole after each")
    print(f"SIGKILL to first 200: median {median(seconds):.2f} s, {max(seconds):.2f} s at most")
    return max(seconds) > LONGEST_SECONDS


if __name__ == "__main__":
    sys.exit(main())
