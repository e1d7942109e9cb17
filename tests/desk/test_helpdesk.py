"""A person's decision in the desk reaches the helpdesk that the ticket came by, and never replaces a value there."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.desk.conftest import Running
from tests.support.desk import let_undo_pass, statement, visitor
from tests.support.helpdesk import ENVIRONMENT, Helpdesk, connections_file, deliver, payload, running_helpdesk
from tests.support.process import serving
from tests.support.waiting import wait_until

LABELS = {label: f"T-{label}" for label in ("billing", "technical", "sales")}
HTMX = {"HX-Request": "true"}


@contextlib.contextmanager
def connected(bundle: Path, folder: Path, helpdesk: Helpdesk, mode: str) -> Iterator[Running]:
    file = connections_file(folder, helpdesk.url, LABELS, mode=mode)
    flags = ("--connections-file", str(file), "--state-dir", str(folder), "--desk", "true")
    with serving(bundle, *flags, env={**os.environ, **ENVIRONMENT}) as service:
        wait_until(lambda: service.management("/admin/status").json()["connections"][0]["fault"] is None)
        yield Running(service, folder)


def left(running: Running, helpdesk: Helpdesk, prefix: str) -> tuple[str, str]:
    """A ticket of the helpdesk that is left to people, and the decision about it."""
    for number in range(200):
        ticket = helpdesk.add(f"{prefix}{number}", body=f"Where is parcel {number}?", subject=f"Order {number * 7}")
        deliver(running.service, payload(dict(ticket)), f"{prefix}{number}")
        where = "ticket_id = ? AND outcome <> 'route'"
        found = statement(running.state, f"SELECT id FROM decisions WHERE {where}", f"desk:{prefix}{number}")
        if found:
            return f"{prefix}{number}", found[0][0]
    raise AssertionError("the tiny bundle leaves some texts to people")


def decide(running: Running, decision: str, department: str) -> None:
    with visitor(running.service) as client:
        form = {"department": department}
        assert client.post(f"/tickets/{decision}/decide", data=form, headers=HTMX).status_code == 200


def states(running: Running) -> list[str]:
    return [row[0] for row in statement(running.state, "SELECT state FROM reviews ORDER BY id")]


def test_decision_is_written_where_the_router_only_suggests(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with running_helpdesk() as helpdesk, connected(tiny_bundle_path, tmp_path, helpdesk, "suggest") as running:
        ticket, decision = left(running, helpdesk, "a")
        decide(running, decision, "sales")
        assert helpdesk.tickets[ticket]["team"] is None, "it may be undone"
        let_undo_pass(running.state)
        wait_until(lambda: states(running) == ["sent"])
        assert helpdesk.tickets[ticket]["team"] == "T-sales"


def test_value_of_a_person_stays_and_the_queue_says_so(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with running_helpdesk() as helpdesk, connected(tiny_bundle_path, tmp_path, helpdesk, "route") as running:
        ticket, decision = left(running, helpdesk, "a")
        helpdesk.move(ticket, team="T-old")
        decide(running, decision, "sales")
        _, other = left(running, helpdesk, "b")
        decide(running, other, "returns")
        let_undo_pass(running.state)
        wait_until(lambda: states(running) == ["refused", "refused"])
        assert helpdesk.tickets[ticket]["team"] == "T-old"
        with visitor(running.service) as client:
            page = client.get("/").text
            assert "a person has set another value there" in page
            assert "has no target for this label" in page
            for review in re.findall(r'hx-post="/desk(/reviews/\w+/seen)"', page):
                assert client.post(review, headers=HTMX).status_code == 200
            assert "did not take" not in client.get("/").text


def test_nothing_is_written_by_a_connection_in_shadow_mode(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with running_helpdesk() as helpdesk, connected(tiny_bundle_path, tmp_path, helpdesk, "shadow") as running:
        _, decision = left(running, helpdesk, "a")
        decide(running, decision, "sales")
        let_undo_pass(running.state)
        wait_until(lambda: states(running) == ["sent"])
        assert helpdesk.changes == []
        assert statement(running.state, "SELECT value FROM feedback") == [("sales",)]
