"""The wall clock jumps by hours while the service runs; only log lines and expiries may change.

libfaketime moves the clock for one process (Debian's package `faketime`); the monotonic clock is left alone, as the
system leaves it when an administrator sets the time.
"""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.http.cases import GOOD, head, post
from tests.support.keys import Known, file_of
from tests.support.process import Service, serving
from tests.support.waiting import wait_until

LIBRARIES = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
JUMPS = ("+5h", "-7h", "+400d", "+0")
LASTING = Known("lasting", further="tickets_per_second = 0.001\nburst = 8")
EXPIRING = Known("expiring", further=f"expires = {(datetime.now(UTC) + timedelta(days=30)).isoformat()}")


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the offset of the service's clock."""
    return tmp_path_factory.mktemp("clock") / "offset"


@pytest.fixture(scope="module")
def shifted(tiny_bundle_path: Path, clock: Path) -> Iterator[Service]:
    library = next(iter(LIBRARIES), None)
    if library is None:
        pytest.skip("libfaketime is not here: apt-get install faketime")
    jump(clock, "+0")
    keys = clock.with_name("keys.toml")
    keys.write_text(file_of(LASTING, EXPIRING))
    faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    env = {**os.environ, **faked, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    with serving(
        tiny_bundle_path, "--keys-file", str(keys), module="tests.faults.servers.short_limits", env=env
    ) as running:
        yield running


def jump(clock: Path, by: str) -> None:
    clock.write_text(f"{by}\n")


def ask(service: Service, known: Known) -> int:
    lines = [f"{name}: {value}" for name, value in known.header.items()]
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(post(GOOD, "Connection: close", *lines))
        return int(connection.recv(65536).split()[1])


def dated(service: Service) -> datetime:
    """The time of the service's last log line."""
    return datetime.fromisoformat(service.events[-1]["time"])


def test_the_fake_clock_dates_log_lines(shifted: Service, clock: Path) -> None:
    jump(clock, "+5h")
    ask(shifted, EXPIRING)
    wait_until(lambda: dated(shifted) - datetime.now(UTC) > timedelta(hours=4))
    jump(clock, "+0")


def test_a_clock_that_jumps_disturbs_no_request(shifted: Service, clock: Path) -> None:
    """Time limits and rates use the monotonic clock, logs and expiries the wall clock; afterwards all is as before."""
    for by in JUMPS:
        jump(clock, by)
        wanted = 401 if by == "+400d" else 200
        assert ask(shifted, EXPIRING) == wanted
        assert ask(shifted, LASTING) == 200, "a jump fills no bucket, and empties none"
        assert closed_in_time(shifted)
    wait_until(lambda: abs(dated(shifted) - datetime.now(UTC)) < timedelta(minutes=1))
    assert [ask(shifted, LASTING) for _ in range(6)][-1] == 429, "nor has it given any tickets"
    assert shifted.counts("request_duration_seconds_sum") < 60
    assert shifted.management("/admin/status").status_code == 401
    assert shifted.stop() == 0


def closed_in_time(service: Service) -> bool:
    """A half-sent head is closed after its time limit, neither at once nor hours later."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(head()[:-2])
        with contextlib.suppress(ConnectionError):
            assert connection.recv(100) == b""
    return 0.4 < time.monotonic() - began < 10
