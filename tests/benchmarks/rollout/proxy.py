"""Debian's haproxy with `deploy/haproxy.cfg`, the file that compose mounts, in front of `members.py`.

Its admin socket takes members out of rotation and counts repeated requests.
"""

import contextlib
import csv
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import TicketRouterError
from tests.benchmarks.rollout.members import Member, free_port
from tests.support.process import ROOT, Service

CONFIGURATION = ROOT / "deploy/haproxy.cfg"
BACKEND = "routers"
START_SECONDS = 10.0
POLL_SECONDS = 0.02


class NotInstalled(TicketRouterError):
    """A program is not installed."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What haproxy counted so far.

    Args:
        retries: requests sent once more to the member that did not answer.
        redispatches: requests sent once more to another one.
        given_up: answers that the proxy made itself, since no member gave one.
    """

    retries: int
    redispatches: int
    given_up: int

    def __sub__(self, before: "Counters") -> "Counters":
        return Counters(
            self.retries - before.retries,
            self.redispatches - before.redispatches,
            self.given_up - before.given_up,
        )


class Proxy:
    """A running haproxy."""

    def __init__(self, port: int, management_port: int, admin: Path) -> None:
        self.port = port
        self.management_port = management_port
        self._admin = admin

    def drain(self, member: Member) -> None:
        """It gets no new request; requests in flight continue."""
        self._tell(f"set server {BACKEND}/{member.name} state drain")

    def admit(self, member: Member) -> None:
        """Back into rotation as soon as its health check succeeds."""
        self._tell(f"set server {BACKEND}/{member.name} state ready")

    def wait_until_up(self, member: Member) -> None:
        give_up = time.monotonic() + START_SECONDS
        while self._row(member.name)["status"] != "UP":
            assert time.monotonic() < give_up, f"the proxy does not see {member.name}"
            time.sleep(POLL_SECONDS)

    def counters(self) -> Counters:
        row = self._row("BACKEND")
        return Counters(int(row["wretr"]), int(row["wredis"]), int(row["econ"]) + int(row["eresp"]))

    def _row(self, server: str) -> dict[str, str]:
        rows = csv.DictReader(self._tell("show stat").removeprefix("# ").splitlines())
        return next(row for row in rows if (row["pxname"], row["svname"]) == (BACKEND, server))

    def _tell(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as admin, admin.makefile("r") as answer:
            admin.connect(str(self._admin))
            admin.sendall(command.encode() + b"\n")
            return answer.read()


@contextlib.contextmanager
def haproxy(members: Sequence[Member], folder: Path, **settings: str) -> Iterator[Proxy]:
    """A proxy for which all members are up; ended afterwards. `settings` are further variables of the configuration.

    Raises:
        NotInstalled: haproxy is not installed.
    """
    program = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise NotInstalled("haproxy is not installed; get it with: apt-get install haproxy")
    proxy = Proxy(free_port(), free_port(), folder / "admin.sock")
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-db", "-f", str(CONFIGURATION)],
            env=_environment(proxy, members, folder) | settings,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(process, folder)
        for member in members:
            proxy.wait_until_up(member)
        yield proxy
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def in_front_of(service: Service, folder: Path, **settings: str) -> Iterator[int]:
    """The port of a proxy whose only router is this running service."""
    member = Member("router-1", folder / "unused.log")
    member.port, member.management_port = service.port, service.management_port
    with haproxy([member], folder, **settings) as proxy:
        yield proxy.port


def _environment(proxy: Proxy, members: Sequence[Member], folder: Path) -> dict[str, str]:
    """The configuration's variables. A router without a member gets a port without a listener."""
    found = {
        "ROUTER_BIND": f"127.0.0.1:{proxy.port}",
        "ROUTER_PROXY_MANAGEMENT": f"127.0.0.1:{proxy.management_port}",
        "ROUTER_ADMIN_SOCKET": str(folder / "admin.sock"),
    }
    unused = str(free_port())
    for number in range(1, 4):
        member = members[number - 1] if number <= len(members) else None
        found[f"ROUTER_{number}"] = f"127.0.0.1:{member.port if member else unused}"
        found[f"ROUTER_{number}_HEALTH"] = str(member.management_port if member else unused)
    return os.environ | found


def _wait_for(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not (folder / "admin.sock").exists():
        said = (folder / "haproxy.log").read_text()
        assert process.poll() is None, f"haproxy ended: {said}"
        assert time.monotonic() < give_up, f"haproxy did not start: {said}"
        time.sleep(POLL_SECONDS)
