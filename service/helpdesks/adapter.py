"""`Adapter`: what the frame needs to know of a helpdesk."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import ClassVar

from service.helpdesks.client import Client
from service.helpdesks.connections import Connection, Strict
from service.helpdesks.types import Change, Current, Delivery, Event

Headers = Mapping[str, str]
"""Names in lower case; a header that was sent twice has the value ''."""


class NoOptions(Strict):
    pass


class Adapter(ABC):
    """One object a connection, without state. `verify` and `parse` are pure; the others call the helpdesk, and raise
    `types.CallError`."""

    Options: ClassVar[type[Strict]] = NoOptions
    """The table `[NAME.options]`, validated at start."""
    attributes: ClassVar[Mapping[str, str]] = {}
    """Field → attribute of the helpdesk's ticket, where the file names none."""
    states: ClassVar[tuple[str, ...] | None] = None
    """Of tickets that may be touched, where the file names none. None: any."""
    batch = 1
    """Tickets that `write_many` takes at once; 1: there is no such call."""
    closed: frozenset[str] = frozenset()
    """States of tickets that a person has closed."""

    def __init__(self, connection: Connection, options: Strict) -> None:
        self.connection = connection
        self.options = options

    @property
    def has_tags(self) -> bool:
        """Whether tickets have tags: if not, an abstention is told by a note."""
        return True

    @abstractmethod
    def headers(self) -> Mapping[str, str]:
        """Of every call to the helpdesk, with its authentication."""

    @abstractmethod
    def verify(self, headers: Headers, body: bytes, now: float) -> None:
        """Raises: Unauthenticated: the call is not the helpdesk's. `now`: Unix seconds."""

    @abstractmethod
    def parse(self, headers: Headers, body: bytes) -> Delivery:
        """The events of a verified call. A body is at most `max_body_bytes`.

        Raises:
            Malformed: it can never be processed.
        """

    @abstractmethod
    async def probe(self, client: Client) -> str:
        """Who we are at the helpdesk, for a person to read. Raises Unfit, also if the token has too few rights."""

    @abstractmethod
    async def targets(self, client: Client, attribute: str) -> Mapping[str, str] | None:
        """The ids that this attribute can have, with their names; None: not to be listed."""

    @abstractmethod
    async def read(self, client: Client, ticket: str) -> Current:
        """The ticket now. Raises Gone."""

    @abstractmethod
    async def write(self, client: Client, change: Change) -> None:
        """Write it, with the helpdesk's own check that the ticket is as in `change.current`.

        Raises:
            Conflict: it is not; nothing was written.
            Gone
        """

    async def read_many(self, client: Client, tickets: Sequence[str]) -> Mapping[str, Current]:
        """Those that there are, by their ids. Of up to `batch`. Called only where `batch` > 1."""
        raise NotImplementedError

    async def write_many(self, client: Client, changes: Sequence[Change]) -> Collection[str]:
        """Write changes without `values`, which cannot overwrite what a person set. Return the tickets that were
        written: any other is to be read and written by itself. Called only where `batch` > 1."""
        raise NotImplementedError

    def created(self, client: Client, since_ms: int) -> AsyncIterator[Event] | None:  # noqa: ARG002 - of those that can
        """The tickets that were created from this time on, oldest first, and with `ignored` those that were changed;
        None: the helpdesk cannot list them."""
        return None
