"""What the frame and the adapters of helpdesks exchange.

`Event`s come in, by webhook or by listing; `Current` is a ticket as the helpdesk has it now; a `Change` goes out.
`values` map an attribute of the helpdesk's ticket (`group_id`, `queue`) to an id of the helpdesk, as text; None: unset.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from models.errors import TicketRouterError
from models.ticket import ContentType


class Ignored(StrEnum):
    """Why an event is not routed: a closed set, so that it can be counted."""

    PING = "ping"
    """The helpdesk tests the address."""
    OTHER_EVENT = "other_event"
    """Not the creation of a ticket."""
    PRIVATE = "private"
    BY_AGENT = "by_agent"
    OWN_WRITE = "own_write"
    OFF = "off"
    TOO_OLD = "too_old"
    STATE = "state"
    """Closed, or another state that is not in `states`."""
    ASSIGNED = "assigned"
    """It has a value already that is not in `replace`."""
    ROUTED = "routed"
    """A decision about this ticket is on record."""
    FEEDBACK = "feedback"
    """It shows what people chose for a ticket with a decision: recorded as feedback."""
    FORGOTTEN = "forgotten"
    MALFORMED = "malformed"
    """Authentic, and not a payload that this version can read."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a ticket. `ticket`: its id in the helpdesk. `state`: the helpdesk's own word.
    `created_ms`: of the ticket. `values`: an attribute that is missing is unknown. `ignored`: what the adapter knows
    against routing it. `changed_ms`: when the ticket became as it is shown. `by_program`: the helpdesk's own rules did
    it."""

    ticket: str
    subject: str = ""
    body: str = ""
    content_type: ContentType = "text/plain"
    sender: str = ""
    recipients: tuple[str, ...] = ()
    state: str | None = None
    created_ms: int | None = None
    values: Mapping[str, str | None] = field(default_factory=dict)
    ignored: Ignored | None = None
    changed_ms: int | None = None
    by_program: bool = False


class Delivery(NamedTuple):
    """One call of a helpdesk. `id`: what a repetition of the call has in common with it."""

    id: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Current:
    """A ticket now. `version`: what the helpdesk compares when it is written (ETag, updated_at); None: it has none.
    `marks`: its tags, or whatever else shows that a change with this mark was made."""

    values: Mapping[str, str | None]
    state: str | None = None
    created_ms: int | None = None
    version: str | None = None
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """What to write to a ticket, in one call where the helpdesk can. `mark`: the decision's id, for helpdesks without
    tags. `note`: internal, never visible to customers. `current`: the ticket as it was read just before."""

    ticket: str
    values: Mapping[str, str]
    tags: tuple[str, ...]
    note: str | None
    mark: str
    current: Current


class Written(NamedTuple):
    """What was written to a ticket: attribute, previous value, value."""

    field: str
    previous: str | None
    value: str


class Malformed(Exception):
    """An authentic payload that cannot be read. `delivery`: its id, if it has one. `why`: without its content."""

    def __init__(self, delivery: str | None = None, why: str = "another structure") -> None:
        super().__init__()
        self.delivery = delivery
        self.why = why


class CallError(TicketRouterError):
    """A call to a helpdesk failed. The message has no content of the answer."""


class Again(CallError):
    """It may succeed later: no answer, 429, 5xx. `seconds`: what the helpdesk says to wait."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Conflict(CallError):
    """The ticket was changed since it was read: read it again."""


class Gone(CallError):
    """There is no such ticket any more."""


class Refused(CallError):
    """It will not succeed: wrong rights, an unknown value, a redirect."""


class Denied(Refused):
    """401 or 403: the token, or its rights."""


class Unfit(Refused):
    """The file does not fit the helpdesk. The message is for a person, and begins with the key."""
