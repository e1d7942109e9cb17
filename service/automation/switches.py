"""One switch, and the table of them.

Of the switches with the same field and selector the newest is in force; `route` takes back what was off. The rows stay:
they are the history.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, insert, select

from models.mail.headers import addresses
from models.scoring import Verdict
from models.ticket import Ticket
from service.records.database.schema import automation, id_after, milliseconds_of

ADDRESS_LENGTH = 254
CONNECTION = "connection:"
"""Before a helpdesk's name, as the caller of its tickets: no key can have such a name."""


class Mode(StrEnum):
    """What becomes of a ticket that would be routed; from the mildest to the strictest."""

    ROUTE = "route"
    SUGGEST = "suggest"
    OFF = "off"


MODES = tuple(Mode)

Selector = Mapping[str, str]
"""`{"label"}`, `{"connection"}`, `{"sender_domain"}`, `{"mailbox"}`, `{"field", "value"}`, or `{}`: the whole field."""


@dataclass(frozen=True, slots=True)
class Switch:
    """`id`: a ULID, whose time is `since_ms`. `field`: whose automation it sets."""

    id: str
    field: str
    selector: Selector
    mode: Mode
    who: str
    why: str

    @property
    def since_ms(self) -> int:
        return milliseconds_of(self.id)

    @property
    def scope(self) -> str:
        """`field`, `label` or `slice`."""
        return "label" if "label" in self.selector else "slice" if self.selector else "field"

    @property
    def key(self) -> tuple[str, str]:
        """What a later switch has in common with the one that it replaces."""
        return self.field, _text(self.selector)

    def matches(self, ticket: Ticket, verdict: Verdict, caller: str | None) -> bool:
        """A label or a value matches if it is the likeliest one, whatever the outcome."""
        match self.selector:
            case {"label": label}:
                return _likeliest(verdict, self.field) == label
            case {"connection": name}:
                return caller == CONNECTION + name
            case {"sender_domain": domain}:
                senders = addresses(ticket.sender)[:1]
                return any(normal_domain(each.rpartition("@")[2]) == domain for each in senders)
            case {"mailbox": mailbox}:
                local = mailbox.partition("@")[0]
                # A thousand recipients are cheaper to search than to parse.
                near = (each for each in ticket.recipients if local in each.lower())
                return any(normal_address(address) == mailbox for each in near for address in addresses(each))
            case {"field": field, "value": value}:
                return _likeliest(verdict, field) == value
        return True


def normal_domain(text: str) -> str | None:
    """The domain in lower case and ASCII (IDNA), as all are compared; None: not the name of a mail domain."""
    try:
        domain = text.strip().removesuffix(".").encode("idna").decode().lower()
    except UnicodeError:
        return None
    labels = domain.split(".")
    valid = len(domain) <= ADDRESS_LENGTH and len(labels) > 1 and all(map(_is_domain_label, labels))
    return domain if valid else None


def normal_address(text: str) -> str | None:
    """The same of a whole address without a name."""
    if addresses(text) != (text.strip().lower(),) or not text.isprintable():
        return None
    local, _, domain = text.strip().lower().rpartition("@")
    name = normal_domain(domain)
    return f"{local}@{name}" if local and name is not None else None


def newest(connection: Connection) -> list[Switch]:
    """The newest switch of each field and selector, oldest first; also those that are back to `route`."""
    ids = select(func.max(automation.c.id)).group_by(automation.c.field, automation.c.selector)
    rows = connection.execute(select(automation).where(automation.c.id.in_(ids)).order_by(automation.c.id))
    return [Switch(row.id, row.field, json.loads(row.selector), Mode(row.mode), row.who, row.why) for row in rows]


def in_force(connection: Connection) -> list[Switch]:
    """Those that keep tickets from being routed."""
    return [each for each in newest(connection) if each.mode is not Mode.ROUTE]


def set_switch(connection: Connection, field: str, selector: Selector, mode: Mode, who: str, why: str) -> Switch:
    """Insert a switch, which is then in force, also where another machine's clock is ahead."""
    text = _text(selector)
    same = (automation.c.field == field, automation.c.selector == text)
    last = connection.execute(select(func.max(automation.c.id)).where(*same)).scalar()
    new_id = id_after(last)
    row: dict[str, Any] = {"id": new_id, "field": field, "selector": text, "mode": mode.value, "who": who, "why": why}
    connection.execute(insert(automation), [row])
    return Switch(new_id, field, dict(selector), mode, who, why)


def _text(selector: Selector) -> str:
    return json.dumps(dict(selector), sort_keys=True, ensure_ascii=False)


def _likeliest(verdict: Verdict, field: str) -> str | None:
    found = verdict.of(field)
    return found.candidates[0].label if found is not None and found.candidates else None


def _is_domain_label(label: str) -> bool:
    return 0 < len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum()
