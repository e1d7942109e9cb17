"""`python -m service` as a process of its own, on ports the system chose."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60


@dataclass
class Service:
    """A service that has said it listens. `events` are its log lines so far."""

    process: "subprocess.Popen[str]"
    port: int
    management_port: int
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def management_url(self) -> str:
        return f"http://127.0.0.1:{self.management_port}"

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, **options)

    def management(self, path: str, seconds: float = 30) -> httpx.Response:
        return httpx.get(self.management_url + path, timeout=seconds)

    def samples(self) -> dict[str, float]:
        """Every series of /metrics by its full name, labels included."""
        lines = self.management("/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def counts(self, pattern: str) -> float:
        """The sum of the series whose full name matches."""
        return sum(value for name, value in self.samples().items() if re.search(pattern, name))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextlib.contextmanager
def serving(
    bundle: Path,
    *flags: str,
    python: str | Path = sys.executable,
    module: str = "service",
    env: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """A started service; killed at the end if the test did not stop it. `env` takes the place of our own.

    Without a folder of its own it records nothing: two services cannot share one file.
    """
    if "--state-dir" not in flags and "--records" not in flags:
        flags = (*flags, "--records", "off")
    command = [str(python), "-m", module, "--bundle", str(bundle), "--port", "0", "--management-port", "0", *flags]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    lines: queue.Queue[str] = queue.Queue()
    events: list[dict[str, Any]] = []
    pump = threading.Thread(target=_pump, args=(process.stdout, lines, events), daemon=True)
    pump.start()
    try:
        listening = _listening(process, lines)
        yield Service(process, listening["port"], listening["management_port"], events)
    finally:
        process.kill()
        process.wait()
        pump.join()  # it ends with the process's output
        process.stdout.close()
        process.stderr.close()


def post_head(path: str, length: int, *headers: str, kind: str = "application/json") -> bytes:
    """The head of a POST that declares a body of this length."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", f"Content-Length: {length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def run_cli(
    *arguments: str, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """`python -m service …` to its end."""
    command = [sys.executable, "-m", "service", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(env or {})}, input=stdin, capture_output=True, text=True, timeout=60
    )


def _pump(stream: IO[str], lines: "queue.Queue[str]", events: list[dict[str, Any]]) -> None:
    for line in stream:
        events.append(json.loads(line))
        lines.put(line)


def _listening(process: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> dict[str, Any]:
    while True:
        try:
            event: dict[str, Any] = json.loads(lines.get(timeout=START_SECONDS))
        except queue.Empty:
            process.kill()
            raise AssertionError(f"the service did not start: {process.communicate()[1]}") from None
        if event["event"] == "listening":
            return event
