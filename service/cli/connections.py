"""`python -m service connections`: check the connected helpdesks, dry runs, and what could not be written."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from models.errors import TicketRouterError
from models.printable import printable, printed
from models.ticket import Ticket
from service.app import create_app
from service.cli.flags import FlagValues, settings_from, with_flags
from service.cli.records import RECORDS_SETTINGS, opened_database
from service.context import RequestContext
from service.decision import Decision
from service.helpdesks import outbox
from service.helpdesks.connections import ConnectionsError, Mode, load_connections
from service.helpdesks.kinds import adapter_of
from service.helpdesks.link import Link
from service.helpdesks.manners import HandsOff, on_arrival, plan
from service.helpdesks.types import Again, Current, Event, Malformed
from service.logs import configure_logging
from service.records.database.schema import milliseconds_now
from service.records.rows import timestamp
from service.routing.router import deadline_in
from service.settings import Settings

FAULTY = 2

connections = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Payload = Annotated[Path, typer.Option(metavar="FILE", help="The body of a call, as the helpdesk sends it.")]
Name = Annotated[str, typer.Argument(help="The connection's name in the file.")]


class PayloadError(TicketRouterError):
    """A connection has a fault, or a payload cannot be read."""


@connections.callback()
def group() -> None:
    """Check the connected helpdesks, try payloads without writing, and see to what could not be written."""


@connections.command()
@with_flags("connections_file")
def check(given: FlagValues) -> None:
    """Check the file, and of each helpdesk: address, rights, and that every target exists. Writes nothing.

    \b
    Examples:
      python -m service connections check --connections-file connections.toml
    """
    try:
        links = _links(settings_from(given))
    except ConnectionsError as error:
        if len(error.faults) == 1:
            raise
        for fault in error.faults:
            typer.echo(printable(fault), err=True)
        raise typer.Exit(FAULTY) from None
    if not asyncio.run(_check(links)):
        raise typer.Exit(FAULTY)


@connections.command()
@with_flags("connections_file")
def test(given: FlagValues, name: Name, payload: Payload) -> None:
    """Show what is read from a payload, and whether it would be routed. Needs no bundle, and calls nothing.

    \b
    Examples:
      python -m service connections test support --payload sample.json --connections-file connections.toml
    """
    link = _link(_links(settings_from(given)), name)
    for event in _events(link, payload):
        ignored = on_arrival(event, link.rules, milliseconds_now())
        _print(
            {
                "ticket": event.ticket,
                "subject": event.subject,
                "body_characters": len(event.body),
                "state": event.state,
                "created": None if event.created_ms is None else timestamp(event.created_ms),
                "values": dict(event.values),
                "ignored": None if ignored is None else ignored.value,
            }
        )


@connections.command()
@with_flags("connections_file", "bundle", "bundle_key", "device", "variant")
def replay(
    given: FlagValues,
    name: Name,
    payload: Payload,
    mode: Annotated[Mode | None, typer.Option(help="As if this were the connection's only mode.")] = None,
) -> None:
    """Decide the tickets of a payload with the bundle, and show what would be written. Calls and records nothing.

    \b
    Examples:
      python -m service connections replay support --payload sample.json --connections-file connections.toml
      python -m service connections replay support --payload sample.json --mode route
    """
    settings = settings_from(given)
    link = _link(_links(settings), name)
    if mode is not None:
        table = link.connection.table
        fields = {field: each.model_copy(update={"mode": None, "modes": {}}) for field, each in table.fields.items()}
        changed = table.model_copy(update={"mode": mode, "fields": fields})
        link = Link(adapter_of(replace(link.connection, table=changed)))
    events = _events(link, payload)
    configure_logging("error")
    for event, decision in zip(events, asyncio.run(_decide(settings, events)), strict=True):
        _print(_planned(link, event, decision))


@connections.command()
@with_flags(*RECORDS_SETTINGS)
def dead(
    given: FlagValues,
    name: Annotated[str | None, typer.Option(help="Of this connection alone.")] = None,
    send_again: Annotated[bool, typer.Option("--send-again", help="Try all of them again.")] = False,
) -> None:
    """List what could not be written, one JSON line each, and try it again, also beside a running service.

    \b
    Examples:
      python -m service connections dead
      python -m service connections dead --name support --send-again
    """
    with opened_database(given) as database:
        with database.reader.begin() as connection:
            rows = outbox.dead(connection, name)
        for row in rows:
            _print(
                {
                    "id": row.id,
                    "connection": row.connection,
                    "kind": row.kind,
                    "ticket": row.ticket,
                    "decision_id": row.decision_id,
                    "attempts": row.attempts,
                    "last_error": row.last_error,
                    "since": timestamp(row.at),
                }
            )
        if send_again and rows:
            with database.writer.begin() as connection:
                outbox.send_again(connection, [row.id for row in rows], milliseconds_now())
            typer.echo(f"{len(rows)} to be sent again", err=True)


def _links(settings: Settings) -> Mapping[str, Link]:
    if settings.connections_file is None:
        raise ConnectionsError("name the file of the connections with --connections-file")
    found = load_connections(settings.connections_file)
    return {name: Link(adapter_of(connection)) for name, connection in found.items()}


def _link(links: Mapping[str, Link], name: str) -> Link:
    if name not in links:
        raise PayloadError(f"no connection {name[:40]}; there are {', '.join(links)}")
    return links[name]


async def _check(links: Mapping[str, Link]) -> bool:
    """Print a line for each fault; return whether there is none."""
    valid = True
    for name, link in links.items():
        try:
            faults = await link.faults()
        except Again as error:
            faults = [f"url: the helpdesk does not answer ({error})"]
        finally:
            await link.close()
        for fault in faults:
            typer.echo(printable(f"[{name}] {fault}"), err=True)
        if not faults:
            modes = ", ".join(f"{key} {mode}" for key, mode in link.modes().items())
            typer.echo(printable(f"[{name}] ok: {modes} ({link.account})"))
        valid = valid and not faults
    return valid


def _events(link: Link, payload: Path) -> tuple[Event, ...]:
    try:
        return link.adapter.parse({}, payload.read_bytes()).events
    except OSError as error:
        raise PayloadError(f"{payload}: cannot be read ({error.strerror})") from error
    except Malformed as error:
        raise PayloadError(f"{payload}: no payload of {link.connection.table.kind}: {error.why}") from None


async def _decide(settings: Settings, events: tuple[Event, ...]) -> list[Decision]:
    # Neither the record nor the connections: a service may be running beside this.
    service = create_app(settings.model_copy(update={"records": "off", "connections_file": None}))
    try:
        await service.start()
        tickets = [Ticket(each.subject, each.body, each.content_type, sender=each.sender) for each in events]
        seconds = settings.request_timeout_seconds
        return [await service.router.decide(each, RequestContext(deadline_in(seconds))) for each in tickets]
    finally:
        await service.stop()


def _planned(link: Link, event: Event, decision: Decision) -> dict[str, Any]:
    now_ms = milliseconds_now()
    department = decision.verdict.department
    shown: dict[str, Any] = {
        "ticket": event.ticket,
        "outcome": department.outcome.value,
        "reason": department.reason.value,
        "department": department.predicted,
        "confidence": round(department.confidence, 4),
    }
    ignored = on_arrival(event, link.rules, now_ms)
    if ignored is not None:
        return shown | {"ignored": ignored.value}
    values = {
        name: None for field in (*decision.verdict.fields, "department") if (name := link.rules.attribute_of(field))
    }
    current = Current(values | dict(event.values), event.state, event.created_ms)
    planned = plan(
        decision.verdict,
        link.rules,
        current,
        ticket=event.ticket,
        mark=decision.id,
        initial=event.values,
        written={},
        flips={},
        now_ms=now_ms,
    )
    if isinstance(planned, HandsOff):
        return shown | {"writes": None, "why": planned.value}
    change, _ = planned
    return shown | {"writes": {"values": dict(change.values), "tags": list(change.tags), "note": change.note}}


def _print(content: Mapping[str, Any]) -> None:
    typer.echo(printed([json.dumps(content, ensure_ascii=False)]))
