"""`make demo`: the whole path from made-up tickets to routed e-mails; it stops every process that it starts.

Uses only the two command lines and REST, as a user does; imports nothing of the service.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.sample import SampleMail, make_mails

FOLDER = Path("demo")
BUNDLE = FOLDER / "bundles" / "current"
RECIPE = """\
# Fewer epochs than the defaults: a demo should take minutes. These tickets come from mailboxes, frames and all.
epochs = 4
max_tokens = 128
data.mail_frames = 0

# So few rows can't carry the default promise of .95 where one label in fifty is wrong on purpose:
# promise .9, and keep more rows to prove it with.
[split]
calibration = 0.2

[promise]
route_precision = 0.9
"""
MAILS = 10
READY_SECONDS = 60
STOP_SECONDS = 30
_METRICS = ("ticket_router_decisions_total", "ticket_router_http_requests_total", "ticket_router_model_info")
_console = Console(highlight=False)


class DemoError(Exception):
    """A step failed; the step's own output gives the reason."""


@dataclass(frozen=True, slots=True)
class Service:
    """The running service and its addresses."""

    process: subprocess.Popen[bytes]
    url: str
    management: str


def main() -> None:
    """Run the demo; exit 1 with one line when a step fails."""
    try:
        _demo()
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: stopped")


def _demo() -> None:
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    _heading("1. Closed tickets: made up, as a helpdesk would export them")
    _run("training", "sample", "--out", str(FOLDER / "tickets.csv"))
    _heading("2. Training: a small encoder from a package (no model hub), against a TF-IDF baseline")
    (FOLDER / "recipe.toml").write_text(RECIPE)
    _run(
        "training", "train", "--allow-empty", "--data", str(FOLDER / "tickets.csv"), "--base", "embedded", "--recipe",
        str(FOLDER / "recipe.toml"), "--out", str(FOLDER / "bundles"),
    )  # fmt: skip
    _heading("3. The service: onnxruntime behind REST")
    service = _start_service()
    try:
        _heading(f"4. {MAILS} e-mails, routed")
        _show_decisions(service, make_mails(MAILS, seed=2))
        _heading("5. What Prometheus would see")
        with urllib.request.urlopen(f"{service.management}/metrics", timeout=10) as answer:  # noqa: S310 loopback
            lines = answer.read().decode().splitlines()
        for line in lines:
            if line.startswith(_METRICS) and not line.endswith(" 0.0"):
                _console.print(f"  {line}", soft_wrap=True, markup=False)
    finally:
        _stop(service)
    _console.print(f"\nStopped cleanly after {time.monotonic() - started:.0f} s. The report on the model:")
    _console.print(f"  {(BUNDLE / 'report.html').resolve()}", soft_wrap=True)
    _console.print(f"Serve it yourself:\n  .venv/bin/python -m service --bundle {BUNDLE}")


def _heading(text: str) -> None:
    _console.print(f"\n[bold]{text}[/bold]")


def _command(*arguments: str) -> list[str]:
    """A product command; it is printed before it runs."""
    _console.print(f"[dim]$ python -m {' '.join(arguments)}[/dim]", soft_wrap=True)
    return [sys.executable, "-m", *arguments]


def _run(*arguments: str) -> None:
    if subprocess.run(_command(*arguments), check=False).returncode:  # noqa: S603 a command of this product
        raise DemoError(f"`python -m {' '.join(arguments)}` failed")


def _start_service() -> Service:
    port, management = _free_port(), _free_port()
    command = _command(
        "service", "--bundle", str(BUNDLE), "--port", str(port), "--management-port",
        str(management), "--state-dir", str(FOLDER / "state"),
    )  # fmt: skip
    with (FOLDER / "service.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 a command of this product
    service = Service(process, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{management}")
    started = time.monotonic()
    while not _ready(service):
        if process.poll() is not None or time.monotonic() - started > READY_SECONDS:
            process.kill()
            raise DemoError(f"the service did not get ready; see {FOLDER}/service.log")
        time.sleep(0.05)
    _console.print(f"ready after {time.monotonic() - started:.1f} s at {service.url}")
    return service


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(service: Service) -> bool:
    try:
        with urllib.request.urlopen(f"{service.management}/readyz", timeout=2) as answer:  # noqa: S310 loopback
            return bool(answer.status == 200)
    except OSError:
        return False


def _show_decisions(service: Service, mails: Sequence[SampleMail]) -> None:
    table = Table("e-mail", "outcome", "department", "sure", "right", "why", box=None, pad_edge=False)
    for mail in mails:
        request = urllib.request.Request(  # noqa: S310 loopback
            f"{service.url}/v1/route", data=mail.raw, headers={"Content-Type": "message/rfc822"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                decision = dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise DemoError(f"the service answered {error.code}") from error
        best = decision["candidates"][0]["department"] if decision["candidates"] else None
        table.add_row(
            mail.name.partition("-")[2],
            decision["outcome"],
            decision["department"] or (f"({best}?)" if best else "–"),
            f"{decision['confidence']:.2f}" if best else "–",
            "yes" if best == mail.department else "no",
            decision["reason"],
        )
    _console.print(table)


def _stop(service: Service) -> None:
    service.process.send_signal(signal.SIGTERM)
    try:
        code = service.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        service.process.kill()
        raise DemoError("the service did not stop on SIGTERM") from error
    if code:
        raise DemoError(f"the service ended with exit code {code}; see {FOLDER}/service.log")


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    main()
