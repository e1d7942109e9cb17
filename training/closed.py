"""Closed tickets for a bundle to answer: the first step that `evaluate`, `compare` and `promote` share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.contract import check_table, raise_faults
from training.data.split import PreparedRow, prepare_rows
from training.data.table import read_table


@dataclass(frozen=True, slots=True)
class ClosedTickets:
    """The rows that have text, how many have none, and the fields that the file has values of."""

    rows: tuple[PreparedRow, ...]
    empty: int
    fields: tuple[str, ...]


def read_closed(data: Path, known: Sequence[str], columns: Mapping[str, str]) -> ClosedTickets:
    """Read a file of closed tickets, with those of the `known` fields that it has a column for.

    Raises:
        TicketRouterError: the file is not sound, or no row has text.
    """
    table = read_table(data)
    lower = {column.lower() for column in table.columns}
    fields = tuple(name for name in known if name == DEPARTMENT or name in lower or name in columns)
    checked = check_table(table, fields, columns)
    raise_faults(table, checked.faults)
    filled, empty = prepare_rows(checked.rows)
    if not filled:
        raise TicketRouterError(f"{data}: no row has text left after cleaning")
    return ClosedTickets(tuple(filled), empty, fields)
