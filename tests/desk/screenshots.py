"""Pictures of every page of the desk, for docs/desk.md.

    python -m tests.desk.screenshots [--bundle demo/bundles/current] [--out docs/desk]

Starts a service with an empty record, sends made-up tickets, gives feedback to some, and takes each page in Chromium.
`make demo` makes the bundle.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.support.desk import chromium, visitor
from tests.support.process import ROOT, Service, run_cli, serving
from tests.support.waiting import wait_until
from training.sample import make_mails, make_tickets, write_tickets
from training.sample.tickets import SampleTicket

TICKETS = 600
VIEW = {"width": 1080, "height": 800}
HIGHEST = 1200
"""Pictures of longer pages end here, in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "demo" / "bundles" / "current")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "desk")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        state = Path(folder) / "state"
        flags = ("--state-dir", str(state), "--desk", "true", "--records-text", "true")
        with serving(options.bundle, *flags) as service:  # makes the record
            service.stop()
        index_closed_tickets(options.bundle, Path(folder), state)
        with serving(options.bundle, *flags) as service:
            seed(service, make_tickets(TICKETS, 11))
            wait_for_similar_tickets(service)
            take(service, options.out)


def index_closed_tickets(bundle: Path, folder: Path, state: Path) -> None:
    write_tickets(make_tickets(800, 12), folder / "closed.csv")
    index = str(folder / "index.jsonl")
    command = ["training", "index", "--bundle", str(bundle), "--data", str(folder / "closed.csv"), "--out", index]
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    added = run_cli("index", "add", "--from", index, "--state-dir", str(state))
    assert added.returncode == 0, added.stderr


def seed(service: Service, tickets: list[SampleTicket]) -> None:
    """Decisions about all tickets; people have closed most of the routed ones, and some of the others."""
    with service.client() as client:
        for number, ticket in enumerate(tickets):
            request = {"id": ticket.id, "subject": ticket.subject, "body": ticket.body, "from": ticket.requester}
            answer = client.post("/v1/route", json=request | {"content_type": ticket.content_type}).json()
            if number % 10 < (8 if answer["outcome"] == "route" else 4):
                fields = {"department": ticket.department}
                client.post("/v1/feedback", json={"ticket_id": ticket.id, "fields": fields, "source": "close"})
    with visitor(service) as client:
        why = "The new team reads all of its tickets until Friday"
        switch = {"field": "department", "kind": "label", "name": tickets[0].department, "mode": "suggest", "why": why}
        client.post("/switches", data=switch).raise_for_status()


def wait_for_similar_tickets(service: Service) -> None:
    with visitor(service) as client:
        found = re.search(r"/desk(/tickets/\w+)", client.get("/").text)
        assert found is not None
        part = f"{found[1]}/alike"
        wait_until(lambda: "No closed tickets yet" not in client.get(part, headers={"HX-Request": "true"}).text, 180)


def take(service: Service, out: Path) -> None:
    with chromium() as browser:
        for scheme in ("light", "dark"):
            page = browser.new_context(color_scheme=scheme, viewport=VIEW).new_page()  # type: ignore[arg-type]

            def shoot(name: str, page: Page = page, scheme: str = scheme) -> None:
                page.wait_for_load_state("networkidle")
                height = min(HIGHEST, int(page.evaluate("document.documentElement.scrollHeight")))
                area = {"x": 0, "y": 0, "width": VIEW["width"], "height": max(height, 200)}
                path = out / f"{name}-{scheme}.png"
                page.screenshot(path=path, full_page=True, clip=area)  # type: ignore[arg-type]
                print(f"{path.name}: {path.stat().st_size // 1000} kB")

            page.goto(f"{service.url}/desk/?reason=below_threshold")
            shoot("queue")
            page.click("#first")
            shoot("ticket")
            page.keyboard.press("?")
            shoot("keys")
            page.goto(f"{service.url}/desk/try")
            page.locator("details summary").first.click()
            page.fill("textarea[name=raw]", make_mails(3, seed=2)[2].raw.decode())
            page.click("form button:has-text('Try')")
            page.wait_for_selector("#steps h2")
            shoot("try")
            for name in ("quality", "promise", "switches"):
                page.goto(f"{service.url}/desk/{name}")
                shoot(name)


if __name__ == "__main__":
    main()
