"""What the adapter for django-helpdesk relies on, held against the real one: its API has no conflict check."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.support.helpdesks.django_helpdesk import INBOX, DjangoHelpdesk


@pytest.fixture
def events() -> Any:
    """The address of a receiver, and what arrived there."""
    received: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append(body | {"authorization": self.headers.get("Authorization")})
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", received
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("way", ["file_by_form", "file_by_api", "file_by_mail"])
def test_every_way_in_sends_an_event_with_the_password_of_its_address(
    helpdesk: DjangoHelpdesk, events: Any, way: str
) -> None:
    address, received = events
    helpdesk.send_events_to(f"http://webhook:s3cret@{address}/hook")
    number = getattr(helpdesk, way)("Invoice wrong", "Charged twice.")
    (event,) = received
    assert event["authorization"] == "Basic d2ViaG9vazpzM2NyZXQ="
    assert event["queue_slug"] == INBOX
    assert (event["ticket"]["id"], event["ticket"]["title"]) == (number, "Invoice wrong")
    assert event["ticket"]["description"].strip() == "Charged twice."


def test_a_move_by_the_api_or_by_edit_details_leaves_no_follow_up_and_sends_no_event(
    helpdesk: DjangoHelpdesk, events: Any
) -> None:
    address, received = events
    number = helpdesk.file_by_form("Invoice wrong", "Charged twice.")
    helpdesk.send_events_to(f"http://{address}", kind="followup")
    with helpdesk.api() as client:
        client.patch(f"tickets/{number}/", json={"queue": helpdesk.queues["billing"]}).raise_for_status()
    assert helpdesk.queue_of(number) == "billing"
    helpdesk.edit(number, "sales")
    assert helpdesk.queue_of(number) == "sales"
    assert len(helpdesk.ticket(number)["followup_set"]) == 1
    assert received == []


def test_an_update_by_an_agent_leaves_a_follow_up_with_the_agent_and_sends_an_event(
    helpdesk: DjangoHelpdesk, events: Any
) -> None:
    address, received = events
    number = helpdesk.file_by_form("Invoice wrong", "Charged twice.")
    helpdesk.send_events_to(f"http://{address}", kind="followup")
    helpdesk.move(number, "sales")
    assert helpdesk.ticket(number)["followup_set"][-1]["user"] == helpdesk.users["ann"]
    (event,) = received
    assert event["ticket"]["queue"] == helpdesk.queues["sales"]


def test_a_change_of_queue_and_custom_field_mails_nobody(helpdesk: DjangoHelpdesk) -> None:
    number = helpdesk.file_by_form("Invoice wrong", "Charged twice.")
    before = helpdesk.mails_sent()
    with helpdesk.api() as client:
        change = {"queue": helpdesk.queues["billing"], "custom_triage": "billing 0.97"}
        client.patch(f"tickets/{number}/", json=change).raise_for_status()
    assert helpdesk.ticket(number)["custom_triage"] == "billing 0.97"
    assert helpdesk.mails_sent() == before == 1, "only the confirmation to the customer"


def test_a_private_note_mails_those_in_copy_so_the_adapter_writes_none(helpdesk: DjangoHelpdesk) -> None:
    number = helpdesk.file_by_form("Invoice wrong", "Charged twice.")
    helpdesk.manage(
        "shell",
        "-c",
        "from helpdesk.models import *; Queue.objects.update(enable_notifications_on_email_events=True);"
        f"TicketCC.objects.create(ticket_id={number}, email='partner@example.org')",
    )
    before = helpdesk.mails_sent()
    with helpdesk.api() as client:
        note = {"ticket": number, "user": helpdesk.users["router"], "comment": "billing?", "public": False}
        client.post("followups/", json=note).raise_for_status()
    assert helpdesk.mails_sent() == before + 1


def test_a_ticket_without_title_is_refused_and_tells_whether_the_queue_exists(helpdesk: DjangoHelpdesk) -> None:
    with helpdesk.api() as client:
        known = client.post("tickets/", json={"queue": helpdesk.queues["sales"]})
        unknown = client.post("tickets/", json={"queue": 99})
    assert (known.status_code, unknown.status_code) == (400, 400)
    assert "queue" not in known.json()
    assert "queue" in unknown.json()
    assert helpdesk.tickets() == []
