"""Zendesk: event subscriptions and trigger webhooks, both signed; Tickets API v2.

A value is written by an update of its ticket alone, whose `safe_update` refuses it if the ticket was changed since it
was read. `safe_update` is documented for that call only: updates of many tickets in one job carry tags and notes, which
add to a ticket and overwrite nothing.

An event's `detail` has ids as text, and words such as the status in capitals. A trigger's webhook has the JSON that the
administrator wrote: with the keys of `detail`, and further `requester_email` and `recipient`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from models.fields import DEPARTMENT
from service.helpdesks.adapter import Adapter, Headers
from service.helpdesks.client import Client, part
from service.helpdesks.payload import at, id_of, json_of, milliseconds, optional, text
from service.helpdesks.signatures import basic, hmac_of, is_recent, refuse_unless, same
from service.helpdesks.types import Change, Current, Delivery, Event, Gone, Ignored, Malformed, Unfit

CREATED = "zen:event-type:ticket.created"
CUSTOM = "custom_fields."
SYSTEM = "-1"
"""The user whose changes are those of triggers and automations."""
PRIORITIES = ("urgent", "high", "normal", "low")
RIGHTS = ("agent", "admin")
PAGE = 100
JOB_SECONDS = 1.0
"""Between two looks at a job."""
JOB_AT_WORK = ("queued", "working")
INCREMENTAL_DELAY_MS = 60_000
"""Zendesk lists tickets from a minute ago on."""


class Zendesk(Adapter):
    attributes: ClassVar[Mapping[str, str]] = {DEPARTMENT: "group_id", "priority": "priority"}
    states: ClassVar[tuple[str, ...] | None] = ("new", "open")
    batch = 100
    closed: frozenset[str] = frozenset({"solved", "closed"})

    def headers(self) -> Mapping[str, str]:
        return {"authorization": basic(f"{self.connection.table.user}/token", self.connection.token or "")}

    def verify(self, headers: Headers, body: bytes, now: float) -> None:
        stamp = headers.get("x-zendesk-webhook-signature-timestamp", "")
        signature = hmac_of(self.connection.secret, stamp.encode() + body, encoding="base64")
        valid = same(headers.get("x-zendesk-webhook-signature", ""), signature)
        refuse_unless(valid and is_recent(milliseconds(stamp), now))

    def parse(self, headers: Headers, body: bytes) -> Delivery:
        delivery = headers.get("x-zendesk-webhook-invocation-id", "")[:200] or hashlib.sha256(body).hexdigest()
        content = json_of(body, delivery)
        return Delivery(delivery, tuple(_event(each, delivery) for each in _items(content)))

    async def probe(self, client: Client) -> str:
        if not self.connection.table.user:
            raise Unfit("user: needed; the e-mail address of the token's account")
        user = at(await client.get("/api/v2/users/me.json"), "user")
        if at(user, "role") not in RIGHTS:
            raise Unfit("token: its user is no agent: it may not update tickets")
        return f"{text(at(user, 'name'))} ({text(at(user, 'role'))})"

    async def targets(self, client: Client, attribute: str) -> Mapping[str, str] | None:
        if attribute == "group_id":
            groups = [each async for each in _pages(client, "/api/v2/groups.json", "groups")]
            return {text(at(each, "id")): text(at(each, "name")) for each in groups}
        if attribute == "priority":
            return {each: each for each in PRIORITIES}
        if attribute.startswith(CUSTOM):
            number = part(attribute.removeprefix(CUSTOM))
            try:
                field = await client.get(f"/api/v2/ticket_fields/{number}.json")
            except Gone:
                return {}
            options = at(field, "ticket_field.custom_field_options")
            return None if not options else {text(at(each, "value")): text(at(each, "name")) for each in options}
        return None

    async def read(self, client: Client, ticket: str) -> Current:
        return _current(at(await client.get(f"/api/v2/tickets/{part(ticket)}.json"), "ticket"))

    async def read_many(self, client: Client, tickets: Sequence[str]) -> Mapping[str, Current]:
        found = await client.get("/api/v2/tickets/show_many.json", ids=",".join(tickets))
        return {text(at(each, "id")): _current(each) for each in at(found, "tickets") or ()}

    async def write(self, client: Client, change: Change) -> None:
        ticket = {"safe_update": True, "updated_stamp": change.current.version, **_update(change)}
        await client.call("PUT", f"/api/v2/tickets/{part(change.ticket)}.json", content={"ticket": ticket})

    async def write_many(self, client: Client, changes: Sequence[Change]) -> Collection[str]:
        tickets = [{"id": int(change.ticket), **_update(change)} for change in changes]
        answer = await client.call("PUT", "/api/v2/tickets/update_many.json", content={"tickets": tickets})
        job = at(answer, "job_status")
        path = f"/api/v2/job_statuses/{part(text(at(job, 'id')))}.json"
        while at(job, "status") in JOB_AT_WORK:
            await asyncio.sleep(JOB_SECONDS)
            job = at(await client.get(path), "job_status")
        results = at(job, "results") or ()
        return {text(at(each, "id")) for each in results if at(each, "success") is True}

    async def created(self, client: Client, since_ms: int) -> AsyncIterator[Event]:
        query = {"start_time": str(since_ms // 1000)}
        while True:
            page = await client.get("/api/v2/incremental/tickets/cursor.json", **query)
            for each in at(page, "tickets") or ():
                event = _event_of(each, "")
                if event.created_ms is None or event.state == "deleted":
                    continue
                # Listed by the time of the last change.
                yield event if event.created_ms >= since_ms else replace(event, ignored=Ignored.OTHER_EVENT)
            cursor = optional(at(page, "after_cursor"))
            if at(page, "end_of_stream") is not False or cursor is None:
                return
            query = {"cursor": cursor}


def _current(ticket: Any) -> Current:
    return Current(
        _values(ticket),
        optional(at(ticket, "status")),
        milliseconds(at(ticket, "created_at")),
        optional(at(ticket, "updated_at")),
        frozenset(text(each) for each in at(ticket, "tags") or ()),
    )


def _update(change: Change) -> dict[str, Any]:
    ticket: dict[str, Any] = {}
    custom = []
    for attribute, value in change.values.items():
        if attribute.startswith(CUSTOM):
            custom.append({"id": int(attribute.removeprefix(CUSTOM)), "value": value})
        else:
            ticket[attribute] = int(value) if value.isdigit() else value
    if custom:
        ticket["custom_fields"] = custom
    if change.tags:
        ticket["additional_tags"] = list(change.tags)
    if change.note is not None:
        ticket["comment"] = {"body": change.note, "public": False}
    return ticket


def _items(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _event(content: Any, delivery: str) -> Event:
    if at(content, "type") is not None and at(content, "detail") is not None:  # of a subscription to events
        event = _event_of(at(content, "detail"), delivery)
        event = replace(event, changed_ms=milliseconds(at(content, "time")))
        if at(content, "type") != CREATED:
            # What changes with a customer's message is a trigger's work too.
            by_program = text(at(content, "detail.actor_id")) in (SYSTEM, text(at(content, "detail.requester_id")))
            return replace(event, subject="", body="", ignored=Ignored.OTHER_EVENT, by_program=by_program)
        return event
    return _event_of(at(content, "ticket") or content, delivery)


def _event_of(ticket: Any, delivery: str) -> Event:
    subject, body = text(at(ticket, "subject")), text(at(ticket, "description"))
    if not isinstance(ticket, dict):
        raise Malformed(delivery or None)
    ignored = None
    submitter, requester = optional(at(ticket, "submitter_id")), optional(at(ticket, "requester_id"))
    if at(ticket, "is_public") is False:
        ignored = Ignored.PRIVATE
    elif submitter is not None and requester is not None and submitter != requester:
        ignored = Ignored.BY_AGENT
    return Event(
        id_of(at(ticket, "id"), delivery or None),
        subject,
        body,
        sender=text(at(ticket, "requester_email")),
        recipients=tuple(filter(None, [text(at(ticket, "recipient"))])),
        state=(optional(at(ticket, "status")) or "").lower() or None,
        created_ms=milliseconds(at(ticket, "created_at")),
        values=_values(ticket),
        ignored=ignored,
        changed_ms=milliseconds(at(ticket, "updated_at")),
    )


def _values(ticket: Any) -> dict[str, str | None]:
    names = [name for name in ("group_id", "priority", "brand_id", "type") if name in ticket]
    # Events have words in capitals, the API has not.
    values = {name: (text(ticket[name]).lower() or None) for name in names}
    for each in at(ticket, "custom_fields") or ():
        values[f"{CUSTOM}{text(at(each, 'id'))}"] = optional(at(each, "value"))
    return values


async def _pages(client: Client, path: str, key: str) -> AsyncIterator[Any]:
    query = {"page[size]": str(PAGE)}
    while True:
        page = await client.get(path, **query)
        for each in at(page, key) or ():
            yield each
        cursor = optional(at(page, "meta.after_cursor"))
        if at(page, "meta.has_more") is not True or cursor is None:
            return
        query["page[after]"] = cursor
