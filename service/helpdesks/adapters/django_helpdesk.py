"""django-helpdesk: HELPDESK_NEW_TICKET_WEBHOOK_URLS with the secret in the address, its REST API for the rest.

Its API compares no version and keeps no history of queues, so a person's work shows in three ways: the queue is not the
one that the ticket arrived in (`replace`), an agent wrote a follow-up, or the ticket is not open any more. A note
through its API mails those in copy even if it is private; suggestions go into a custom field for staff instead.

    [support.options]
    field = "triage"      # name of the custom field
    accounts = [4]        # ids of the accounts that file customers' tickets through the API, or "any"
"""

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from models.fields import DEPARTMENT
from service.helpdesks.adapter import Adapter, Headers
from service.helpdesks.client import Client, part
from service.helpdesks.connections import Mode, Strict
from service.helpdesks.payload import at, id_of, json_of, milliseconds, optional, text
from service.helpdesks.signatures import basic, has_basic, refuse_unless
from service.helpdesks.types import Change, Current, Delivery, Event, Ignored, Malformed, Unfit

TICKETS = "/api/tickets/"
OPEN = "1"
STATES = {OPEN: "open", "2": "reopened", "3": "resolved", "4": "closed", "5": "duplicate"}
TAKEN = "taken"
"""Our word for a ticket that an agent has worked on."""
PRIORITIES = {"1": "critical", "2": "high", "3": "normal", "4": "low", "5": "very low"}
PAGE = 100
_DECISION = re.compile(r"decision ([0-9A-Z]{26})")


class DjangoHelpdeskOptions(Strict):
    field: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,50}$")] | None = None
    """Custom field, for staff only, that the note of a suggestion or review is written to."""
    accounts: list[int] | Literal["any"] = Field(default_factory=list)
    """Ids of the accounts whose tickets are customers'. Another ticket that an account opened is an agent's own."""


class DjangoHelpdesk(Adapter):
    Options: ClassVar[type[Strict]] = DjangoHelpdeskOptions
    options: DjangoHelpdeskOptions
    attributes: ClassVar[Mapping[str, str]] = {DEPARTMENT: "queue", "priority": "priority"}
    states: ClassVar[tuple[str, ...] | None] = (STATES[OPEN],)
    closed: frozenset[str] = frozenset({STATES["3"], STATES["4"]})

    @property
    def has_tags(self) -> bool:
        return False

    def headers(self) -> Mapping[str, str]:
        user, token = self.connection.table.user, self.connection.token or ""
        if user:
            return {"authorization": basic(user, token)}
        return {"authorization": f"Token {token}"}

    def verify(self, headers: Headers, body: bytes, now: float) -> None:  # noqa: ARG002 - nothing is signed
        refuse_unless(has_basic(headers, self.connection.secret))

    def parse(self, headers: Headers, body: bytes) -> Delivery:  # noqa: ARG002
        delivery = hashlib.sha256(body).hexdigest()
        content = json_of(body, delivery)
        event = self._event(at(content, "ticket"), delivery)
        if at(content, "followup_id") is not None:
            event = replace(event, subject="", body="", ignored=Ignored.OTHER_EVENT)
        return Delivery(delivery, (event,))

    async def probe(self, client: Client) -> str:
        fields = at(await client.call("OPTIONS", TICKETS), "actions.POST")
        if fields is None:
            raise Unfit("token: its account is no staff: it may not update tickets")
        if self.options.field is not None and self._custom not in fields:
            raise Unfit(f"options.field: the helpdesk has no custom field {self.options.field}")
        if self.options.field is None and self._suggests:
            raise Unfit("options.field: needed to show suggestions and reviews; else use the mode route or shadow")
        return "a staff account"

    async def targets(self, client: Client, attribute: str) -> Mapping[str, str] | None:
        if attribute == "priority":
            return PRIORITIES
        if attribute != "queue":
            return None
        # No call lists queues. A new ticket without title is always refused, and says whether the queue is known.
        known = {}
        for field in self.connection.table.fields.values():
            if (field.attribute or "queue") == "queue":
                for queue in {*field.targets.values(), *field.replace}:
                    answer = await client.call("POST", TICKETS, content={"queue": queue}, expected=(400,))
                    if at(answer, "queue") is None:
                        known[queue] = queue
        return known

    async def read(self, client: Client, ticket: str) -> Current:
        found = await client.get(f"{TICKETS}{part(ticket)}/")
        marks = _DECISION.findall(text(at(found, self._custom)))
        return Current(_values(found), _state(found), _created(found), marks=frozenset(marks))

    async def write(self, client: Client, change: Change) -> None:
        content: dict[str, Any] = dict(change.values)
        if change.note is not None and self.options.field is not None:
            content[self._custom] = change.note
        if content:
            await client.call("PATCH", f"{TICKETS}{part(change.ticket)}/", content=content)

    async def created(self, client: Client, since_ms: int) -> AsyncIterator[Event]:
        query = {"status": OPEN, "page_size": str(PAGE)}
        page = await client.get(TICKETS, **query, page="last")
        number = -(-int(at(page, "count") or 0) // PAGE)
        new: list[Any] = []
        while True:  # by id from the newest on
            tickets = at(page, "results") or []
            later = [each for each in tickets if (_created(each) or 0) >= since_ms]
            new = later + new
            number -= 1
            if len(later) < len(tickets) or number < 1:
                break
            page = await client.get(TICKETS, **query, page=str(number))
        for each in new:
            yield self._event(each, "")

    @property
    def _custom(self) -> str:
        return f"custom_{self.options.field}"

    @property
    def _suggests(self) -> bool:
        table = self.connection.table
        modes = [table.mode, *(each.mode for each in table.fields.values())]
        modes += [mode for each in table.fields.values() for mode in each.modes.values()]
        return Mode.SUGGEST in modes

    def _event(self, ticket: Any, delivery: str) -> Event:
        if not isinstance(ticket, dict):
            raise Malformed(delivery or None)
        account = at(ticket, "followup_set.0.user")
        customers = self.options.accounts
        by_agent = account is not None and customers != "any" and account not in customers
        return Event(
            id_of(at(ticket, "id"), delivery or None),
            text(at(ticket, "title")),
            text(at(ticket, "description")),
            sender=text(at(ticket, "submitter_email")),
            state=_state(ticket),
            created_ms=_created(ticket),
            values=_values(ticket),
            ignored=Ignored.BY_AGENT if by_agent else None,
        )


def _values(ticket: Any) -> dict[str, str | None]:
    return {name: optional(at(ticket, name)) for name in ("queue", "priority", "assigned_to")}


def _created(ticket: Any) -> int | None:
    """Of the follow-up that opened it: the ticket itself has no time."""
    return milliseconds(at(ticket, "followup_set.0.date"))


def _state(ticket: Any) -> str | None:
    status = text(at(ticket, "status"))
    followups = at(ticket, "followup_set") or []
    if status == OPEN and any(at(each, "user") is not None for each in followups[1:]):
        return TAKEN
    return STATES.get(status, status) or None
