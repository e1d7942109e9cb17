"""`python -m service index`: the closed tickets among which the desk finds similar ones."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from models.index_file import ClosedTicket, read_index
from service.cli.flags import FlagValues, settings_from, with_flags
from service.cli.records import RECORDS_SETTINGS, opened_database
from service.records.database.schema import milliseconds_now
from service.records.retention import DAY_MS
from service.similar import closed

PORTION = 200
"""Rows of one transaction: a service that writes beside it waits only for so many."""

index = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@index.callback()
def group() -> None:
    """Closed tickets among which the desk finds similar ones, also beside a running service."""


@index.command()
@with_flags(*RECORDS_SETTINGS, "closed_tickets_days")
def add(
    given: FlagValues,
    source: Annotated[Path, typer.Option("--from", metavar="FILE", help="A file of `python -m training index`.")],
    connection: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The connected helpdesk whose tickets these are, so that ids agree."),
    ] = None,
) -> None:
    """Put the tickets of an index file on record, redacted as they are; a ticket that is there is renewed.

    \b
    Examples:
      python -m service index add --from index.jsonl
      python -m service index add --from index.jsonl --connection zendesk --closed-tickets-days 700
    """
    oldest = milliseconds_now() - settings_from(given).closed_tickets_days * DAY_MS
    deque(read_index(source)[1], maxlen=0)  # a damaged file is found before anything is added
    header, tickets = read_index(source)
    added = read = 0
    with opened_database(given) as database:
        for portion in _portions(tickets):
            read += len(portion)
            young = [each for each in portion if each.at >= oldest]
            with database.writer.begin() as writing:
                added += closed.add_from_file(writing, young, header.bundle, connection)
    left_out = f"; {read - added} are too old or to be forgotten" if added < read else ""
    typer.echo(f"{added} closed tickets are on record{left_out}; a running service takes them in minutes", err=True)


@index.command()
@with_flags(*RECORDS_SETTINGS)
def remove(given: FlagValues) -> None:
    """Delete all closed tickets that came from index files.

    \b
    Examples:
      python -m service index remove
    """
    deleted = 0
    with opened_database(given) as database:
        while True:
            with database.writer.begin() as writing:
                count = closed.remove_from_files(writing, PORTION)
            if not count:
                break
            deleted += count
    typer.echo(f"{deleted} closed tickets deleted", err=True)


def _portions(tickets: Iterator[ClosedTicket]) -> Iterator[Sequence[ClosedTicket]]:
    while portion := list(islice(tickets, PORTION)):
        yield portion
