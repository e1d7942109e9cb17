"""How long from starting the process to `/readyz` 200, and what it holds in memory then.

    python -m tests.benchmarks.start --bundle BUNDLE [--runs 5] [-- FLAG…]

The first run is not counted: it reads the files into the system's cache, as a deployment's pull would. What follows
`--` goes to the service as it is, for instance: -- --variant fp32
"""

import argparse
import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.benchmarks.memory import resident_megabytes
from tests.benchmarks.serving.servers import free_port
from tests.support.process import ROOT, Service

POLL_SECONDS = 0.005
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Start:
    seconds: float
    megabytes: float


@contextlib.contextmanager
def ready(bundle: Path, *flags: str) -> Iterator[Service]:
    """A service that has just said it is ready, and writes no line per request; killed at the end."""
    port, management = free_port(), free_port()
    ports = ["--port", str(port), "--management-port", str(management), "--log-level", "warning", "--records", "off"]
    command = [sys.executable, "-m", "service", "--bundle", str(bundle), *ports, *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, text=True)
    try:
        give_up = time.perf_counter() + PATIENCE_SECONDS
        while not is_ready(management):
            if process.poll() is not None or time.perf_counter() > give_up:
                raise SystemExit("the service did not get ready")
            time.sleep(POLL_SECONDS)
        yield Service(process, port, management)
    finally:
        process.kill()
        process.wait()


def start(bundle: Path, flags: Sequence[str]) -> Start:
    """One start, timed, and ended again."""
    began = time.perf_counter()
    with ready(bundle, *flags) as service:
        return Start(time.perf_counter() - began, resident_megabytes(service.process.pid))


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("flags", nargs="*", help="flags for the service, after --")
    arguments = parser.parse_args()
    starts = [start(arguments.bundle, arguments.flags) for _ in range(arguments.runs + 1)][1:]
    print("run   seconds to ready   resident MB")
    for number, each in enumerate(starts, start=1):
        print(f"{number:3d}   {each.seconds:16.2f}   {each.megabytes:11.0f}")
    middle = median(each.seconds for each in starts), median(each.megabytes for each in starts)
    print(f"median{middle[0]:16.2f}   {middle[1]:11.0f}")


if __name__ == "__main__":
    main()
