"""The adapter against the real helpdesk, without the frame around it."""

import base64
import json
from typing import Any

import pytest

from service.errors import Unauthenticated
from service.helpdesks.adapters.django_helpdesk import DjangoHelpdesk as Adapter
from service.helpdesks.client import Client
from service.helpdesks.connections import Connection, ConnectionTable
from service.helpdesks.kinds import adapter_of
from service.helpdesks.types import Change, Gone, Ignored, Refused
from tests.helpdesks.calls import calling
from tests.support.helpdesks.django_helpdesk import DjangoHelpdesk

SECRET = "of-the-webhook-in-tests"
DECISION = "01JDZZZZZZZZZZZZZZZZZZZZZZ"


def adapter_for(helpdesk: DjangoHelpdesk, account: str = "router", **changes: Any) -> Adapter:
    table = {
        "kind": "django_helpdesk",
        "url": helpdesk.url,
        "secret": {"env": "UNUSED"},
        "mode": "suggest",
        "fields": {"department": {"targets": {"billing": str(helpdesk.queues["billing"])}}},
        "options": {"field": "triage"},
    }
    connection = Connection(
        "support", ConnectionTable.model_validate(table | changes), SECRET, helpdesk.tokens[account], None
    )
    adapter = adapter_of(connection)
    assert isinstance(adapter, Adapter)
    return adapter


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'router:{password}'.encode()).decode()}"


def webhook_body(helpdesk: DjangoHelpdesk, number: int, **more: Any) -> bytes:
    return json.dumps({"ticket": helpdesk.ticket(number), "queue_slug": "inbox", **more}).encode()


def test_a_ticket_is_read_written_and_its_decision_recognised(helpdesk: DjangoHelpdesk) -> None:
    number = str(helpdesk.file_by_form("Invoice wrong", "Charged twice."))
    adapter = adapter_for(helpdesk)
    before = calling(adapter, lambda client: adapter.read(client, number))
    assert before.values["queue"] == str(helpdesk.queues["inbox"])
    assert before.state == "open"
    assert before.created_ms is not None
    billing = str(helpdesk.queues["billing"])
    note = f"Suggestion: billing (decision {DECISION})"
    change = Change(number, {"queue": billing}, (), note, DECISION, before)
    calling(adapter, lambda client: adapter.write(client, change))
    after = calling(adapter, lambda client: adapter.read(client, number))
    assert after.values["queue"] == billing
    assert after.marks == {DECISION}
    assert helpdesk.ticket(int(number))["custom_triage"] == note


def test_a_ticket_that_an_agent_worked_on_is_no_longer_open(helpdesk: DjangoHelpdesk) -> None:
    number = helpdesk.file_by_form("Invoice wrong", "Charged twice.")
    helpdesk.update(number, comment="I look into it")
    adapter = adapter_for(helpdesk)
    assert calling(adapter, lambda client: adapter.read(client, str(number))).state == "taken"


def test_a_deleted_ticket_is_gone(helpdesk: DjangoHelpdesk) -> None:
    adapter = adapter_for(helpdesk)
    with pytest.raises(Gone):
        calling(adapter, lambda client: adapter.read(client, "77"))


def test_new_tickets_are_listed_by_age_over_several_pages(
    helpdesk: DjangoHelpdesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.helpdesks.adapters.django_helpdesk.PAGE", 2)
    numbers = [helpdesk.file_by_api(f"Ticket {number}", "Hello") for number in range(5)]
    helpdesk.update(numbers[3], new_status=4)
    adapter = adapter_for(helpdesk)
    second = calling(adapter, lambda client: adapter.read(client, str(numbers[1]))).created_ms

    async def listed(client: Client) -> list[str]:
        return [event.ticket async for event in adapter.created(client, second or 0)]

    assert calling(adapter, listed) == [str(numbers[number]) for number in (1, 2, 4)]


def test_only_queues_that_exist_are_targets(helpdesk: DjangoHelpdesk) -> None:
    billing = str(helpdesk.queues["billing"])
    adapter = adapter_for(helpdesk, fields={"department": {"targets": {"billing": billing, "sales": "99"}}})
    assert calling(adapter, lambda client: adapter.targets(client, "queue")) == {billing: billing}
    assert helpdesk.tickets() == []


def test_the_check_names_a_missing_custom_field(helpdesk: DjangoHelpdesk) -> None:
    assert calling(adapter_for(helpdesk), adapter_for(helpdesk).probe) == "a staff account"
    for options, message in (({"field": "gone"}, "no custom field gone"), ({}, "needed to show suggestions")):
        adapter = adapter_for(helpdesk, options=options)
        with pytest.raises(Refused, match=message):
            calling(adapter, adapter.probe)


def test_an_event_needs_the_secret_as_password(helpdesk: DjangoHelpdesk) -> None:
    adapter = adapter_for(helpdesk)
    adapter.verify({"authorization": basic(SECRET)}, b"{}", 0)
    for authorization in ("", "Basic", "Basic !", basic(SECRET + "x"), basic("")):
        with pytest.raises(Unauthenticated):
            adapter.verify({"authorization": authorization}, b"{}", 0)


def test_tickets_that_an_account_opened_are_routed_only_if_it_is_listed(helpdesk: DjangoHelpdesk) -> None:
    body = webhook_body(helpdesk, helpdesk.file_by_api("Invoice wrong", "Charged twice."))
    website = helpdesk.users["website"]
    for accounts, ignored in (([], Ignored.BY_AGENT), ([website], None), ("any", None)):
        adapter = adapter_for(helpdesk, options={"field": "triage", "accounts": accounts})
        (event,) = adapter.parse({}, body).events
        assert event.ignored == ignored


def test_a_follow_up_event_is_not_a_new_ticket(helpdesk: DjangoHelpdesk) -> None:
    number = helpdesk.file_by_form("Invoice wrong", "Charged twice.")
    (event,) = adapter_for(helpdesk).parse({}, webhook_body(helpdesk, number, followup_id=7)).events
    assert event.ignored == Ignored.OTHER_EVENT
