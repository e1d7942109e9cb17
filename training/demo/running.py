"""The product's commands and a service as processes, for the examples."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

READY_SECONDS = 60
STOP_SECONDS = 30
_BATCH = 50
console = Console(highlight=False)


class DemoError(Exception):
    """A step failed; the step's own output gives the reason."""


def heading(text: str) -> None:
    console.print(f"\n[bold]{text}[/bold]")


def run_command(*arguments: str) -> None:
    """A product command with its output."""
    if subprocess.run(_command(*arguments), check=False).returncode:  # noqa: S603 a command of this product
        raise DemoError(f"`python -m {' '.join(arguments)}` failed")


def read_command(line: str) -> str:
    """The standard output of a product command; its messages are shown only if it fails."""
    done = subprocess.run(_command(*line.split()), check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        console.print(done.stderr, markup=False)
        raise DemoError(f"`python -m {line}` failed")
    return done.stdout


def _command(*arguments: str) -> list[str]:
    """A product command; it is printed before it runs."""
    console.print(f"[dim]$ python -m {' '.join(arguments)}[/dim]", soft_wrap=True)
    return [sys.executable, "-m", *arguments]


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and its addresses."""

    process: subprocess.Popen[bytes]
    url: str
    management: str

    @classmethod
    def start(cls, folder: Path, *options: str) -> "Service":
        """The service with the current bundle of `folder`, ready; its record and its log are in there."""
        port, management = _free_port(), _free_port()
        command = _command(
            "service", "--bundle", str(folder / "bundles" / "current"), "--port", str(port), "--management-port",
            str(management), "--state-dir", str(folder / "state"), *options,
        )  # fmt: skip
        with (folder / "service.log").open("wb") as log:
            # In a session of its own: an interrupt in the terminal is for the example, which stops the service.
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        service = cls(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{management}")
        started = time.monotonic()
        try:
            while not service._is_ready():
                if process.poll() is not None or time.monotonic() - started > READY_SECONDS:
                    raise DemoError(f"the service did not get ready; see {log.name}")
                time.sleep(0.05)
        except BaseException:
            process.kill()
            raise
        console.print(f"ready after {time.monotonic() - started:.1f} s at {service.url}")
        return service

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            raise DemoError("the service did not stop on SIGTERM") from error
        if code:
            raise DemoError(f"the service ended with exit code {code}; its log says why")

    def get(self, url: str) -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 loopback
            return str(answer.read().decode())

    def status(self) -> dict[str, Any]:
        return dict(json.loads(self.get(f"{self.management}/admin/status")))

    def post(self, url: str, content: object) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 loopback
            url, json.dumps(content).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise DemoError(f"{url} answered {error.code}: {error.read(500).decode(errors='replace')}") from error
        except OSError as error:
            raise DemoError(f"{url} did not answer: {error}") from error

    def post_all(self, path: str, name: str, items: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The result for each item; items are sent in batches."""
        for start in range(0, len(items), _BATCH):
            for each in self.post(f"{self.url}{path}", {name: items[start : start + _BATCH]})["results"]:
                if "error" in each:
                    raise DemoError(f"the service refused one of the {name}: {each['error']['code']}")
                yield each

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.management}/readyz", timeout=2) as answer:  # noqa: S310 loopback
                return bool(answer.status == 200)
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
