"""Closed tickets for a bundle to answer: the first step that `evaluate`, `compare` and `promote` share."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.prepared import PreparedRow, prepare_rows
from training.data.source import TicketFile, read_tickets


@dataclass(frozen=True, slots=True)
class ClosedTickets:
    """The rows that have text, how many have none, and the fields that the file has values of.

    `outside`: rows that the labels file says are out of scope; `notes`: what in the labels file is about nothing.
    """

    rows: tuple[PreparedRow, ...]
    empty: int
    fields: tuple[str, ...]
    outside: tuple[PreparedRow, ...]
    notes: tuple[str, ...]


def read_closed(file: TicketFile, known: Sequence[str] = ()) -> ClosedTickets:
    """Read a file of closed tickets, with those of the `known` fields that it has a column for.

    Raises:
        TicketRouterError: the file is not sound, or no row has text.
    """
    checked = read_tickets(file, (DEPARTMENT,), optional=known)
    filled, empty = prepare_rows(checked.rows)
    if not filled:
        raise TicketRouterError(f"{file.path}: no row has text left after cleaning")
    outside, _ = prepare_rows(checked.outside)
    fields = tuple(dict.fromkeys(name for name in (DEPARTMENT, *known) if name in checked.columns))
    return ClosedTickets(tuple(filled), empty, fields, tuple(outside), checked.notes)
