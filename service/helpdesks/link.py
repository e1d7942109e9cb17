"""`Link`: a connection at work: its adapter, its clients, and whether its target is as the file says."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from models.fields import DEPARTMENT
from service.automation.switches import CONNECTION
from service.helpdesks.adapter import Adapter
from service.helpdesks.client import Client, private_address
from service.helpdesks.connections import Mode
from service.helpdesks.manners import Rules
from service.helpdesks.types import Again, CallError, Denied, Unfit

UNCHECKED = "not checked yet"

_log = structlog.get_logger()


class Link:
    """`fault`: why nothing is written to the helpdesk now; None: it may be. `wake` is set when there is something to
    write, `suspect` when the helpdesk refused a write, so that it is checked again. `account`: who we are there, for a
    person to read. Use from one event loop only."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.connection = connection = adapter.connection
        table = connection.table
        states = self.adapter.states if table.states is None else tuple(table.states)
        self.rules = Rules(connection, self.adapter.attributes, states, self.adapter.has_tags)
        self.fault: str | None = UNCHECKED
        self.account = "without a token, the helpdesk was not asked"
        self.wake = asyncio.Event()
        self.suspect = asyncio.Event()
        self._clients: dict[str, Client] = {}

    @property
    def name(self) -> str:
        return self.connection.name

    @property
    def caller(self) -> str:
        """Of its decisions on record."""
        return CONNECTION + self.name

    def is_other(self, link: "Link") -> bool:
        """Whether the file has the connection otherwise now, or one of its secrets."""
        return self.connection != link.connection

    def ticket_id(self, ticket: str) -> str:
        """On record: helpdesks count from 1, so the name keeps them apart."""
        return f"{self.name}:{ticket}"

    def raw_ticket(self, ticket_id: str) -> str:
        """The helpdesk's own id of a ticket on record."""
        return ticket_id.removeprefix(f"{self.name}:")

    @property
    def client(self) -> Client:
        return self._client(self.connection.table.url, self.adapter.headers())

    @property
    def event_client(self) -> Client:
        assert self.connection.table.event is not None
        return self._client(self.connection.table.event.url, {})

    def _client(self, url: str, headers: Mapping[str, str]) -> Client:
        if url not in self._clients:
            self._clients[url] = Client(url, headers)
        return self._clients[url]

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()

    async def check(self) -> bool:
        """Check address, rights and mapping, and set `fault`; return whether the helpdesk answered."""
        try:
            fault = "; ".join(await self.faults()) or None
        except Again as error:
            if self.fault == UNCHECKED:
                _log.warning("connection not checked", connection=self.name, cause=str(error))
            return False
        if fault != self.fault:
            if fault is None:
                _log.info("connection checked", connection=self.name)
            else:
                _log.error("connection refused: nothing is written", connection=self.name, cause=fault)
        self.fault = fault
        self.wake.set()
        return True

    async def faults(self) -> list[str]:
        """A line for each fault.

        Raises:
            Again: the helpdesk does not answer.
        """
        table = self.connection.table
        faults = []
        for key, url in {"url": table.url, **({} if table.event is None else {"event.url": table.event.url})}.items():
            address = None if table.allow_private else await private_address(url)
            if address is not None:
                faults.append(f"{key}: is at {address}, a private address; set allow_private = true if it is meant")
        if faults or self.connection.token is None:
            return faults  # no call to an address that is not allowed
        try:
            self.account = await self.adapter.probe(self.client)
        except Again:
            raise
        except Unfit as error:
            return [str(error)]
        except Denied as error:
            return [f"token: the helpdesk refuses it{', or the user' if table.user else ''} ({error})"]
        except CallError as error:
            return [f"url: what answers there is no {table.kind} ({error})"]
        for field, mapping in table.fields.items():
            attribute = self.rules.attribute_of(field)
            if not (mapping.targets or mapping.replace) or attribute is None:
                continue
            try:
                known = await self.adapter.targets(self.client, attribute)
            except Again:
                raise
            except CallError as error:
                faults.append(f"fields.{field}: the helpdesk does not list {attribute} ({error})")
                continue
            keyed = [(f"targets.{label}", target) for label, target in mapping.targets.items()]
            for key, target in keyed + [("replace", value) for value in mapping.replace]:
                if known is not None and target not in known:
                    faults.append(f"fields.{field}.{key}: the helpdesk has no {attribute} {target[:40]}")
        return faults

    def modes(self) -> dict[str, str]:
        """By field, and by field and label where the label's differs."""
        table = self.connection.table
        modes = {DEPARTMENT: table.mode.value}
        for field, each in table.fields.items():
            usual = modes[field] = self.connection.mode_of(field, None).value
            narrow = {label: self.connection.mode_of(field, label).value for label in each.modes}
            modes |= {f"{field}.{label}": mode for label, mode in narrow.items() if mode != usual}
        return modes

    def status(self) -> dict[str, Any]:
        """Without the depths of the outbox."""
        table = self.connection.table
        return {
            "name": self.name,
            "kind": table.kind,
            "mode": table.mode.value,
            "modes": self.modes(),
            "fault": self.fault,
            "breaker_open": self.breaker_is_open,
        }

    @property
    def breaker_is_open(self) -> bool:
        return any(client.is_open for client in self._clients.values())

    @property
    def is_off(self) -> bool:
        return self.connection.table.mode is Mode.OFF
