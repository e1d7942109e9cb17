"""The services behind the proxy: real processes, each on ports of its own that it keeps through every restart.

`proxy.py` sends them the tickets of `traffic.py`; `moves.py` says in which order they are stopped and started.
"""

import contextlib
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from tests.benchmarks.start import is_ready
from tests.support.process import ROOT

START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
PORTS = range(15_000, 32_000)
"""Below those the system gives to clients: a process that is away for a moment must find its own port free again."""
FLAGS = ("--cache-entries", "0", "--log-level", "warning", "--records", "off")


class Member:
    """One service and where it listens. `name` is what the proxy's configuration calls it."""

    def __init__(self, name: str, log: Path, flags: Sequence[str] = (), module: str = "service") -> None:
        self.name = name
        self._module = module
        self._flags = flags
        self.port, self.management_port = free_port(), free_port()
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def start(self, bundle: Path) -> None:
        ports = ("--port", str(self.port), "--management-port", str(self.management_port))
        command = [sys.executable, "-m", self._module, "--bundle", str(bundle), *ports, *FLAGS, *self._flags]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while not is_ready(self.management_port):
            said = self._log.read_text()
            assert self.process.poll() is None, f"{self.name} ended: {said}"
            assert time.monotonic() < give_up, f"{self.name} did not get ready: {said}"
            time.sleep(POLL_SECONDS)

    def stop(self) -> int:
        """SIGTERM: requests in flight are answered, and the status is 0."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS)
        assert status == 0, f"{self.name} ended with {status}: {self._log.read_text()}"
        return status

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def reload(self, version: str) -> httpx.Response:
        """Ask for another bundle of the same store: 200, or 409 where it is refused."""
        url = f"http://127.0.0.1:{self.management_port}/admin/reload"
        return httpx.post(url, json={"bundle": version}, timeout=START_SECONDS)


@contextlib.contextmanager
def members(bundle: Path, folder: Path, count: int = 3, flags: Sequence[str] = ()) -> Iterator[list[Member]]:
    """So many ready services with this bundle; killed at the end."""
    made = [Member(f"router-{number}", folder / f"router-{number}.log", flags) for number in range(1, count + 1)]
    try:
        for member in made:
            member.start(bundle)
        for member in made:
            member.wait_until_ready()
        yield made
    finally:
        for member in made:
            member.kill()


def free_port() -> int:
    """A port nobody has now.

    Raises:
        OSError: none of many was free.
    """
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port found")
