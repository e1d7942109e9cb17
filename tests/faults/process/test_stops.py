"""SIGTERM and SIGKILL under load: the short forms of `drains.py` and `restarts.py`."""

import resource
import signal
import socket
import subprocess
import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.clients.load import MIXED, REFUSED, Load
from tests.faults.drains import drain, proxied
from tests.faults.http.cases import GOOD, post
from tests.faults.http.test_connections import connect
from tests.faults.restarts import ask, new_service_files, run
from tests.faults.servers.stock import started
from tests.support.waiting import wait_until

DRAINS = 3
KILLS = 3
LONGEST_SECONDS = 15
"""Seconds from SIGKILL to the first 200, on a machine that runs other tests too; docs/reliability.md has the figure."""


def test_a_drain_under_load_answers_accepted_requests(tiny_bundle_path: Path) -> None:
    """No 5xx, and exit status 0. Without a proxy the kernel resets connections waiting in the port's queue."""
    for number in range(DRAINS):
        found = drain(tiny_bundle_path, Random(number))
        assert not found.tally.server_errors, found
        assert found.exit_status == 0
        assert found.under_way, "the load was over before the signal"
        assert found.tally.ends[REFUSED], "no client came after the port had closed"


def test_a_drain_behind_the_proxy_loses_no_request(tiny_bundle_path: Path) -> None:
    """The proxy sends to the other service what the stopping one did not answer; clients are not even refused."""
    with proxied(tiny_bundle_path) as drain_one:
        found = [drain_one(Random(number)) for number in range(2)]
    assert all(each.passed and each.under_way and not each.tally.ends[REFUSED] for each in found), found


def test_a_killed_service_starts_again_with_its_bundle_whole(tiny_bundle_path: Path) -> None:
    """The first response comes within seconds."""
    found = run(new_service_files(tiny_bundle_path), KILLS)
    assert all(each.under_way and each.seconds < LONGEST_SECONDS for each in found), found


def test_a_stock_application_waits_without_limit_for_half_a_body() -> None:
    """After SIGTERM it waits as long as its client does; the service waits two seconds (test_lifecycle)."""
    with started() as app, socket.create_connection(("127.0.0.1", app.port)) as stuck:
        stuck.sendall(post(GOOD)[:-1])
        time.sleep(0.5)
        app.process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            app.process.wait(6)


def test_a_stock_application_ends_with_a_failure_under_load() -> None:
    """The process dies of the signal, so that its parent process sees a failure."""
    with started() as app, Load(app.port, MIXED) as load:
        wait_until(lambda: load.tally.answered >= len(MIXED))
        app.process.terminate()
        load.join()
        assert app.process.wait(30) == -signal.SIGTERM


def test_a_stock_application_without_free_files_accepts_no_connection() -> None:
    """Other connections hold all file descriptors; the service closes waiting connections (test_connections)."""
    with started() as app:
        resource.prlimit(app.process.pid, resource.RLIMIT_NOFILE, (40, 40))
        held = [connect(app.port) for _ in range(100)]
        assert ask(app.port) is None
        for each in held:
            each.close()
