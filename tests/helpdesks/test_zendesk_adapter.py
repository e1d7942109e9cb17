"""The adapter for Zendesk against a server that speaks its API, without the frame around it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from service.helpdesks.adapters.zendesk import Zendesk as Adapter
from service.helpdesks.client import Client
from service.helpdesks.connections import Connection, ConnectionTable
from service.helpdesks.link import Link
from service.helpdesks.types import Again, Change, Conflict, Current, Gone, Refused
from tests.helpdesks.calls import calling
from tests.support.helpdesks.zendesk import GROUPS, PERSON, ROUTER, SECRET, TOKEN, USER, Zendesk, running_zendesk


@pytest.fixture
def zendesk() -> Iterator[Zendesk]:
    with running_zendesk() as running:
        yield running


def adapter_for(zendesk: Zendesk, token: str = TOKEN, **changes: Any) -> Adapter:
    table = {"kind": "zendesk", "url": zendesk.url, "user": USER, "secret": {"env": "UNUSED"}, "allow_private": True}
    table |= changes
    return Adapter(Connection("support", ConnectionTable.model_validate(table), SECRET, token, None), Adapter.Options())


def change(number: int, current: Current, **changes: Any) -> Change:
    values = {"group_id": str(GROUPS["billing"])}
    return Change(
        **{
            "ticket": str(number),
            "values": values,
            "tags": ("ai_suggestion",),
            "note": "billing, 0.97 sure",
            "mark": "01J",
            "current": current,
        }
        | changes
    )


def read(adapter: Adapter, number: int) -> Current:
    return calling(adapter, lambda client: adapter.read(client, str(number)))


def write(adapter: Adapter, wanted: Change) -> None:
    calling(adapter, lambda client: adapter.write(client, wanted))


def test_group_tag_and_internal_note_are_one_update(zendesk: Zendesk) -> None:
    number = zendesk.new_ticket("Invoice wrong", "Charged twice.", tags=["vip"])
    adapter = adapter_for(zendesk)
    write(adapter, change(number, read(adapter, number)))
    assert zendesk.group_of(number) == GROUPS["billing"]
    assert zendesk.tickets[number]["comments"] == [{"body": "billing, 0.97 sure", "public": False}]
    assert read(adapter, number).marks == {"vip", "ai_suggestion"}
    assert [method for method, _, _ in zendesk.calls] == ["GET", "PUT", "GET"]


def test_a_ticket_that_a_person_moved_since_it_was_read_is_a_conflict(zendesk: Zendesk) -> None:
    number = zendesk.new_ticket("Invoice wrong", "Charged twice.")
    adapter = adapter_for(zendesk)
    current = read(adapter, number)
    zendesk.move(number, GROUPS["sales"])
    with pytest.raises(Conflict):
        write(adapter, change(number, current))
    assert zendesk.moves(number, ROUTER) == []
    assert zendesk.moves(number, PERSON) == [GROUPS["sales"]]


def test_after_the_minutes_updates_no_call_is_made_until_the_helpdesk_allows(zendesk: Zendesk) -> None:
    zendesk.updates_a_minute = 1
    numbers = [zendesk.new_ticket("Invoice wrong", "Charged twice.") for _ in range(2)]
    adapter = adapter_for(zendesk)
    now = [0.0]

    async def update_both(client: Client) -> None:
        client._clock = lambda: now[0]
        for number in numbers:
            current = await adapter.read(client, str(number))
            await adapter.write(client, change(number, current))

    async def kept_back(client: Client) -> None:
        with pytest.raises(Again) as refused:
            await update_both(client)
        assert 50 <= (refused.value.seconds or 0) <= 60
        made = len(zendesk.calls)
        with pytest.raises(Again):
            await adapter.read(client, "1")
        assert len(zendesk.calls) == made
        now[0] += 61
        await adapter.read(client, "1")

    calling(adapter, kept_back)
    assert [status for method, _, status in zendesk.calls if method == "PUT"] == [200, 429]


def test_groups_and_the_account_are_checked(zendesk: Zendesk) -> None:
    adapter = adapter_for(zendesk)
    groups = calling(adapter, lambda client: adapter.targets(client, "group_id"))
    assert groups == {str(number): name for name, number in GROUPS.items()}
    assert calling(adapter, adapter.probe) == "Ticket router (agent)"
    wrong = adapter_for(zendesk, token="another-token-of-the-api")
    with pytest.raises(Refused, match="401"):
        calling(wrong, wrong.probe)


def test_a_deleted_ticket_is_gone(zendesk: Zendesk) -> None:
    with pytest.raises(Gone):
        read(adapter_for(zendesk), 77)


def test_new_tickets_are_listed_over_several_pages_and_changed_ones_marked(zendesk: Zendesk) -> None:
    old = zendesk.new_ticket("Old", "Hello", created_at="2026-01-01T00:00:00+00:00")
    new = [zendesk.new_ticket(f"Ticket {number}", "Hello") for number in range(250)]
    zendesk.move(old, GROUPS["sales"])
    adapter = adapter_for(zendesk)

    async def listed(client: Client) -> list[tuple[str, bool]]:
        since = 1_790_000_000_000
        return [(event.ticket, event.ignored is None) async for event in adapter.created(client, since)]

    assert calling(adapter, listed) == [*((str(number), True) for number in new), (str(old), False)]


@pytest.mark.parametrize(("fault", "error"), [("500", Again), ("503", Again), ("html", Refused), ("redirect", Refused)])
def test_a_failing_helpdesk_is_tried_again_and_a_strange_answer_is_not(
    zendesk: Zendesk, fault: Any, error: type[Exception]
) -> None:
    number = zendesk.new_ticket("Invoice wrong", "Charged twice.")
    zendesk.set_fault(fault)
    with pytest.raises(error):
        read(adapter_for(zendesk), number)


def test_a_helpdesk_that_is_down_is_tried_again(zendesk: Zendesk) -> None:
    zendesk.stop()
    with pytest.raises(Again):
        read(adapter_for(zendesk), 1)
    zendesk.start()


def test_tags_and_notes_of_several_tickets_are_one_job_with_a_result_each(zendesk: Zendesk) -> None:
    numbers = [zendesk.new_ticket("Invoice wrong", "Charged twice.") for _ in range(3)]
    adapter = adapter_for(zendesk)

    async def written(client: Client) -> set[str]:
        found = await adapter.read_many(client, [*map(str, numbers), "77"])
        assert set(found) == {*map(str, numbers)}
        zendesk.move(numbers[1], GROUPS["sales"])
        del zendesk.tickets[numbers[2]]
        changes = [change(number, found[str(number)], values={}) for number in numbers]
        return set(await adapter.write_many(client, changes))

    assert calling(adapter, written) == {str(number) for number in numbers[:2]}
    assert zendesk.group_of(numbers[1]) == GROUPS["sales"], "what a person set stays"
    assert all(zendesk.tickets[number]["tags"] == ["ai_suggestion"] for number in numbers[:2])
    assert [path for method, path, _ in zendesk.calls if method == "PUT"] == ["/api/v2/tickets/update_many.json"]


def test_too_many_jobs_are_tried_again_later(zendesk: Zendesk) -> None:
    number = zendesk.new_ticket("Invoice wrong", "Charged twice.")
    zendesk.calls_a_minute = 2
    adapter = adapter_for(zendesk)

    async def written(client: Client) -> None:
        found = (await adapter.read_many(client, [str(number)]))[str(number)]
        await adapter.write_many(client, [change(number, found, values={})])

    with pytest.raises(Again) as refused:
        calling(adapter, written)
    assert (refused.value.seconds or 0) > 0


def test_words_of_an_event_are_those_of_the_api(zendesk: Zendesk) -> None:
    number = zendesk.new_ticket("Invoice wrong", "Charged twice.", priority="low")
    adapter = adapter_for(zendesk)
    (event,) = adapter.parse(*zendesk.webhook(zendesk.created_event(number))).events
    current = read(adapter, number)
    assert (event.state, event.values["priority"], event.values["group_id"]) == ("new", "low", str(GROUPS["incoming"]))
    assert {name: current.values[name] for name in event.values} == event.values
    assert event.changed_ms is not None


@pytest.mark.parametrize(
    ("changes", "fault", "line"),
    [
        ({"user": ""}, "none", "user: needed; the e-mail address of the token's account"),
        ({"user": "other@acme.example"}, "none", "token: the helpdesk refuses it, or the user (GET: 401)"),
        ({}, "redirect", "url: what answers there is no zendesk (GET: 302, a redirect, which is not followed)"),
        ({}, "html", "url: what answers there is no zendesk (GET: the answer is not JSON)"),
        (
            {"fields": {"department": {"replace": ["99"]}}},
            "none",
            "fields.department.replace: the helpdesk has no group_id 99",
        ),
    ],
)
def test_the_check_names_the_key_that_is_wrong(
    zendesk: Zendesk, changes: dict[str, Any], fault: Any, line: str
) -> None:
    zendesk.set_fault(fault)

    async def checked() -> list[str]:
        link = Link(adapter_for(zendesk, **changes))
        try:
            return await link.faults()
        finally:
            await link.close()

    assert asyncio.run(checked()) == [line]
