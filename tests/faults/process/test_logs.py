"""A log without a reader: the reader has stopped, has ended, or never existed."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.logs import ATOMIC_BYTES, LogStream, lost_lines
from tests.benchmarks.serving.servers import free_port
from tests.benchmarks.start import is_ready
from tests.faults.servers.stock import started
from tests.support.process import ROOT
from tests.support.waiting import wait_until

PIPEFUL = 800
"""Enough requests for more log lines than a pipe holds: some 200 kB."""


@contextlib.contextmanager
def logging_to(bundle: Path, stdout: int) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A service that is ready, and its public port."""
    port, management = free_port(), free_port()
    ports = ("--port", str(port), "--management-port", str(management), "--records", "off")
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "--bundle", str(bundle), *ports], cwd=ROOT, stdout=stdout
    )
    try:
        wait_until(lambda: is_ready(management), 60)
        yield process, port
    finally:
        process.kill()
        process.wait()


def events(pipe: int) -> list[dict[str, Any]]:
    """The events in the pipe now, at least one; every line is whole."""
    return [json.loads(line) for line in os.read(pipe, 10**6).splitlines()]


def statuses(port: int, count: int) -> set[int]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        return {client.post("/v1/route", json={"body": "hello"}).status_code for _ in range(count)}


def test_a_log_reader_that_stops_does_not_stop_the_service(tiny_bundle_path: Path) -> None:
    """All requests are answered while the pipe is full; when it is read again, a line reports how many lines were
    dropped."""
    ours, theirs = os.pipe()
    with logging_to(tiny_bundle_path, theirs) as (process, port):
        os.close(theirs)
        assert statuses(port, PIPEFUL) == {200}
        logged = events(ours)
        assert statuses(port, 1) == {200}
        logged += events(ours)
        assert {"request", "log lines lost"} <= {event["event"] for event in logged}
        assert max(event.get("lines", 0) for event in logged) > PIPEFUL / 10
        os.close(ours)
        assert statuses(port, 3) == {200}, "nor one that is gone"
        process.terminate()
        assert process.wait(30) == 0


def test_a_full_disk_behind_the_log_does_not_stop_the_service(tiny_bundle_path: Path) -> None:
    """Lines are dropped, requests are answered."""
    with open("/dev/full", "wb") as full, logging_to(tiny_bundle_path, full.fileno()) as (process, port):
        assert statuses(port, 3) == {200}
        process.terminate()
        assert process.wait(30) == 0


def test_a_stock_application_stops_when_its_log_blocks() -> None:
    """The write to the full pipe never returns, and no request is answered any more."""
    with started(log=subprocess.PIPE) as app, pytest.raises(httpx.ReadTimeout):
        statuses(app.port, 10 * PIPEFUL)


def test_log_lines_are_whole_or_dropped() -> None:
    """Long lines too: a line that was cut off ends before the next begins, and lost lines are counted."""
    reader, writer = os.pipe()
    stream = LogStream(writer, clock=lambda: 0.0)
    for number in range(20):
        stream.write(json.dumps({"number": number, "text": "x" * 2 * ATOMIC_BYTES}) + "\n")
    *whole, cut = os.read(reader, 10**6).splitlines()
    stream.write('{"number": 20}\n')
    end, logged, last = os.read(reader, 10**6).splitlines()
    assert [json.loads(line)["number"] for line in whole] == list(range(len(whole)))
    assert (len(cut), end) == (ATOMIC_BYTES, b"")
    assert json.loads(logged)["lines"] == 20 - len(whole)
    assert json.loads(last)["number"] == 20
    os.close(reader)
    os.close(writer)


def test_lost_audit_lines_are_counted_separately() -> None:
    """A missing audit record matters more than a missing request line."""
    before, stream = lost_lines(), LogStream(None)
    for line in ('{"who":"ops","event":"audit"}\n', '{"event":"request"}\n', '{"event":"request"}\n'):
        stream.write(line)
    assert {kind: count - before[kind] for kind, count in lost_lines().items()} == {"audit": 1, "other": 2}


def test_a_closed_standard_output_drops_what_is_written() -> None:
    """Nothing can be written, and that is no error."""
    assert LogStream(None).write("line\n") == 5
