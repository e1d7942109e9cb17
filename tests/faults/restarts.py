"""SIGKILL at a random moment under load, and a new start: `python -m tests.faults.restarts --count 200`.

The time runs from the signal to the first 200 on the same port; it includes the death of the process and the whole
start of the new one. After each kill the bundle is whole, and the service answers again.
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
from tests.faults.clients.load import MIXED, Load
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.faults.http.cases import GOOD, post
from tests.support.process import ROOT
from tests.support.waiting import wait_until

LOAD_SECONDS = (0.0, 0.5)
START_SECONDS = 60
LONGEST_SECONDS = 3.0
"""Seconds from SIGKILL to the first 200; above it the command fails."""
POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class ServiceFiles:
    """What stays when the process dies. `ports`: the public and the management port."""

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
    """The status of one ticket on its own connection; None: no connection, or it was closed."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(post(GOOD, "Connection: close"))
            return int(connection.recv(65536).split()[1])
    except (OSError, IndexError):
        return None


def run(files: ServiceFiles, count: int, seed: int = 0) -> list[Restarted]:
    """Kill and start again `count` times. Raises AssertionError if something is not whole, or the service does not
    answer."""
    random, found = Random(seed), []
    process = files.start()
    try:
        files.wait_for_a_200()
        for _ in range(count):
            with Load(files.ports[0], MIXED) as load:
                wait_until(lambda: load.tally.answered >= len(MIXED))
                time.sleep(random.uniform(*LOAD_SECONDS))
                under_way, began = load.tally.under_way, time.monotonic()
                process.send_signal(signal.SIGKILL)
                process.wait()
                process = files.start()
                files.wait_for_a_200()
                found.append(Restarted(time.monotonic() - began, under_way))
            open_bundle(files.bundle)
    finally:
        process.kill()
        process.wait()
    return found


def new_service_files(bundle: Path) -> ServiceFiles:
    return ServiceFiles(bundle, (free_port(), free_port()))


def main() -> int:
    parser = bundle_parser(__doc__)
    parser.add_argument("--count", type=int, default=200, metavar="N")
    arguments = parser.parse_args()
    with bundle_or_tiny(arguments.bundle) as bundle:
        found = run(new_service_files(bundle), arguments.count)
    seconds, under_way = [each.seconds for each in found], [each.under_way for each in found]
    print(f"{len(found)} kills with {min(under_way)} to {max(under_way)} requests under way, all whole after each")
    print(f"SIGKILL to first 200: median {median(seconds):.2f} s, {max(seconds):.2f} s at most")
    return max(seconds) > LONGEST_SECONDS


if __name__ == "__main__":
    sys.exit(main())
