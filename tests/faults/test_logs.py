"""A log that nobody takes: whoever should read it has stopped, has gone, or was never there."""

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
from tests.faults.stock import started
from tests.support.process import ROOT
from tests.support.waiting import wait_until

PIPEFUL = 800
"""Requests whose lines no pipe holds: some 200 kB."""


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
    """What is in it now, at least one line; all are whole."""
    return [json.loads(line) for line in os.read(pipe, 10**6).splitlines()]


def statuses(port: int, count: int) -> set[int]:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
        return {client.post("/v1/route", json={"body": "hello"}).status_code for _ in range(count)}


def test_a_reader_that_stops_does_not_stop_the_service(tiny_bundle_path: Path) -> None:
    """All are answered while the pipe is full; when it is read again, a line tells how many were dropped."""
    ours, theirs = os.pipe()
    with logging_to(tiny_bundle_path, theirs) as (process, port):
        os.close(theirs)
        assert statuses(port, PIPEFUL) == {200}
        told = events(ours)
        assert statuses(port, 1) == {200}
        told += events(ours)
        assert {"request", "log lines lost"} <= {event["event"] for event in told}
        assert max(event.get("lines", 0) for event in told) > PIPEFUL / 10
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


def test_a_stock_application_stops_with_its_log() -> None:
    """The write to the full pipe never returns, and with it no request."""
    with started(log=subprocess.PIPE) as app, pytest.raises(httpx.ReadTimeout):
        statuses(app.port, 10 * PIPEFUL)


def test_lines_are_whole_or_not_there() -> None:
    """Long ones too: one that was cut off ends before the next begins, and what was lost is counted."""
    reader, writer = os.pipe()
    stream = LogStream(writer, clock=lambda: 0.0)
    for number in range(20):
        stream.write(json.dumps({"number": number, "text": "x" * 2 * ATOMIC_BYTES}) + "\n")
    *whole, cut = os.read(reader, 10**6).splitlines()
    stream.write('{"number": 20}\n')
    end, told, last = os.read(reader, 10**6).splitlines()
    assert [json.loads(line)["number"] for line in whole] == list(range(len(whole)))
    assert (len(cut), end) == (ATOMIC_BYTES, b"")
    assert json.loads(told)["lines"] == 20 - len(whole)
    assert json.loads(last)["number"] == 20
    os.close(reader)
    os.close(writer)


def test_lost_audit_lines_are_counted_apart() -> None:
    """A record that is missing is another matter than a request's line."""
    before, stream = lost_lines(), LogStream(None)
    for line in ('{"who":"ops","event":"audit"}\n', '{"event":"request"}\n', '{"event":"request"}\n'):
        stream.write(line)
    assert {kind: count - before[kind] for kind, count in lost_lines().items()} == {"audit": 1, "other": 2}


def test_a_closed_standard_output_drops_what_is_written() -> None:
    """There is nowhere to write to, and it is no error."""
    assert LogStream(None).write("line\n") == 5
