"""`make demo`: the whole path from made-up tickets to routed e-mails; it stops every process that it starts."""

import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from training.demo.running import DemoError, Service, console, heading, run_command
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
_METRICS = ("ticket_router_decisions_total", "ticket_router_http_requests_total", "ticket_router_model_info")


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
    heading("1. Closed tickets: made up, as a helpdesk would export them")
    run_command("training", "sample", "--out", str(FOLDER / "tickets.csv"))
    heading("2. Training: a small encoder from a package (no model hub), against a TF-IDF baseline")
    (FOLDER / "recipe.toml").write_text(RECIPE)
    run_command(
        "training", "train", "--allow-empty", "--data", str(FOLDER / "tickets.csv"), "--base", "embedded", "--recipe",
        str(FOLDER / "recipe.toml"), "--out", str(FOLDER / "bundles"),
    )  # fmt: skip
    heading("3. The service: onnxruntime behind REST")
    service = Service.start(FOLDER)
    try:
        heading(f"4. {MAILS} e-mails, routed")
        _show_decisions(service, make_mails(MAILS, seed=2))
        heading("5. What Prometheus would see")
        for line in service.get(f"{service.management}/metrics").splitlines():
            if line.startswith(_METRICS) and not line.endswith(" 0.0"):
                console.print(f"  {line}", soft_wrap=True, markup=False)
    finally:
        service.stop()
    console.print(f"\nStopped cleanly after {time.monotonic() - started:.0f} s. The report on the model:")
    console.print(f"  {(BUNDLE / 'report.html').resolve()}", soft_wrap=True)
    console.print(f"Serve it yourself:\n  .venv/bin/python -m service --bundle {BUNDLE}")


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
    console.print(table)


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    main()
