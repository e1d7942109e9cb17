"""A file of closed tickets, how to read it, and its rows: every command that reads tickets takes a `TicketFile`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.columns import usual_form
from training.data.contract import Checked, check_table, raise_faults
from training.data.labels import load_rules
from training.data.prepared import PreparedRow, prepare_rows
from training.data.table import Table, read_table


@dataclass(frozen=True, slots=True)
class TicketFile:
    """A file of closed tickets: CSV, JSONL or Parquet.

    `columns` maps roles to columns that have none of their usual names; `rules` is the labels file; `date_format` says
    what the dates themselves leave open.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    rules: Path | None = None
    date_format: str | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files whose content decides what is read."""
        return (self.path, self.rules) if self.rules else (self.path,)

    @property
    def reading(self) -> dict[str, Any]:
        """How they are read, as plain values."""
        return {"columns": dict(self.columns), "date_format": self.date_format}

    def origin(self) -> dict[str, Any]:
        """Name and digest of each file, as provenance records them.

        Raises:
            OSError: a file cannot be read.
        """
        labels = {"labels": _named(self.rules)} if self.rules else {}
        return {**_named(self.path), **labels}


def check_tickets(file: TicketFile, fields: Sequence[str], optional: Sequence[str] = ()) -> tuple[Table, Checked]:
    """The file as a table, and that held against the contract, faults and all.

    Args:
        file: what to read.
        fields: the fields that it must have, `department` first.
        optional: those that are read too where it has a column for them.

    Raises:
        TicketRouterError: the file cannot be read, its labels file or date format is not sound, a column is missing,
            or no row is closed and checked.
    """
    rules = load_rules(file.rules)
    table = read_table(file.path)
    columns = {usual_form(column) for column in table.columns}
    there = [name for name in optional if name in columns or name in file.columns]
    wanted = tuple(dict.fromkeys((*fields, *there)))
    return table, check_table(table, wanted, file.columns, rules, file.date_format)


def read_tickets(file: TicketFile, fields: Sequence[str], optional: Sequence[str] = ()) -> Checked:
    """The file's rows, all of them good. Arguments as of `check_tickets`.

    Raises:
        TicketRouterError: as `check_tickets`; or a row breaks the contract.
    """
    table, checked = check_tickets(file, fields, optional)
    raise_faults(table, checked.faults)
    return checked


def _named(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": digest_of(path)}


def digest_of(path: Path) -> str:
    """64 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
