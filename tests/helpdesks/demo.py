"""`make helpdesk-demo`: a real django-helpdesk with a router beside it, to look at in a browser.

It sends e-mails to the helpdesk, shows which queue each went to, and waits until it is stopped; then nothing of it runs
on. `--once` ends at once. The first time it trains a model on made-up tickets.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from email import message_from_bytes
from email.utils import parseaddr
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.support.helpdesks.connected import connected, django_table, webhook_url_with_secret
from tests.support.helpdesks.django_helpdesk import INBOX, PASSWORD, PYTHON, DjangoHelpdesk, new_site
from training.sample import SampleMail, make_mails

FOLDER = Path("demo") / "helpdesk"
BUNDLES = (Path("demo") / "bundles" / "current", FOLDER / "bundles" / "current")
RECIPE = "[promise]\nroute_precision = 0.9\n"
MAILS = 10
WAIT_SECONDS = 60
_console = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="end after the e-mails")
    parser.add_argument("--bundle", type=Path, metavar="FOLDER", help="instead of the demo's own")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of the helpdesk; any free one if absent")
    options = parser.parse_args()
    if not PYTHON.exists():
        sys.exit("helpdesk-demo: run `make helpdesk-env` first")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo(options.bundle or trained_bundle(), options.port, once=options.once)
    except KeyboardInterrupt:
        _console.print("\nStopped; nothing is left running.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"helpdesk-demo: `{' '.join(map(str, error.cmd))}` failed")


def trained_bundle() -> Path:
    """The bundle of `make demo`, or of an earlier run, or a new one."""
    for bundle in BUNDLES:
        if bundle.exists():
            return bundle.resolve()
    _heading("No model yet: training one on made-up tickets, without fine-tuning; some minutes, once")
    FOLDER.mkdir(parents=True, exist_ok=True)
    tickets, recipe = FOLDER / "tickets.csv", FOLDER / "recipe.toml"
    recipe.write_text(RECIPE)
    command = [sys.executable, "-m", "training"]
    subprocess.run([*command, "sample", "--out", tickets], check=True)
    options = ["--allow-empty", "--quick", "--base", "embedded", "--recipe", recipe, "--out", FOLDER / "bundles"]
    subprocess.run([*command, "train", "--data", tickets, *options], check=True)
    return BUNDLES[1].resolve()


def demo(bundle: Path, port: int, *, once: bool) -> None:
    fields = json.loads((bundle / "manifest.json").read_text())["models"][0]["fields"]
    labels = [label["name"] for field in fields if field["name"] == "department" for label in field["labels"]]
    with tempfile.TemporaryDirectory(prefix="helpdesk-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        _heading("1. A new helpdesk: a queue for each department, and an inbox")
        new_site(folder / "site", labels)
        helpdesk = DjangoHelpdesk(folder / "site", port)
        stack.callback(lambda: helpdesk.process is not None and helpdesk.stop())
        helpdesk.start()
        _heading("2. The router, connected to it in the mode `route`")
        service = stack.enter_context(
            connected(bundle, folder / "service", django_table(helpdesk), token=helpdesk.tokens["router"])
        )
        helpdesk.send_events_to(webhook_url_with_secret(service))
        _console.print((folder / "service" / "connections.toml").read_text(), style="dim", markup=False)
        _heading(f"3. {MAILS} e-mails to support@helpdesk.test")
        mails = make_mails(MAILS, seed=2)
        for number, mail in enumerate(mails, start=1):
            (folder / "site" / "mail" / f"{number:02}.eml").write_bytes(mail.raw)
        helpdesk.manage("get_email")
        _wait_until_settled(helpdesk)
        _show(helpdesk, mails)
        _heading("4. Look around")
        _console.print(f"helpdesk   {helpdesk.url}/tickets/   user ann, password {PASSWORD} (an agent; or admin)")
        _console.print(f"new ticket {helpdesk.url}/tickets/submit/")
        _console.print(f"decisions  {service.url}/v1/decisions")
        _console.print("Move a ticket: the router leaves it where you put it.")
        if not once:
            _console.print("Ctrl-C ends everything.")
            while True:
                time.sleep(1)


def _wait_until_settled(helpdesk: DjangoHelpdesk) -> None:
    """Until each ticket was moved or has a note."""
    limit = time.monotonic() + WAIT_SECONDS
    inbox = helpdesk.queues[INBOX]
    while any(each["queue"] == inbox and not each["custom_triage"] for each in helpdesk.tickets()):
        if time.monotonic() > limit:
            break  # what is missing is seen in the table
        time.sleep(0.3)


def _show(helpdesk: DjangoHelpdesk, mails: list[SampleMail]) -> None:
    slugs = {number: slug for slug, number in helpdesk.queues.items()}
    senders = {parseaddr(message_from_bytes(mail.raw)["From"])[1]: mail for mail in mails}
    table = Table("ticket", "e-mail", "queue now", "right", "the router's note", box=None, pad_edge=False)
    for ticket in helpdesk.tickets():
        mail = senders[ticket["submitter_email"]]
        queue = slugs[ticket["queue"]]
        right = "–" if queue == INBOX else "yes" if queue == mail.department else "no"
        table.add_row(
            str(ticket["id"]),
            mail.name.partition("-")[2],
            queue,
            right,
            (ticket["custom_triage"] or "").split(" (dec")[0],
        )
    _console.print(table)


def _heading(text: str) -> None:
    _console.print(f"\n[bold]{text}[/bold]")


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    main()
