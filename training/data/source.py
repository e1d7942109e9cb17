"""A file of closed tickets, its reading options, and its rows: every command that reads tickets takes a
`TicketFile`."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.label_source import LabelSource
from training.data.columns import usual_form
from training.data.contract import Checked, check_table, raise_faults
from training.data.labels import load_rules
from training.data.prepared import PreparedRow, prepare_rows
from training.data.table import Table, read_table


@dataclass(frozen=True, slots=True)
class TicketFile:
    """A file of closed tickets: CSV, JSONL or Parquet.

    `columns` maps roles to columns without a usual name; `rules` is the labels file; `date_format` is for ambiguous
    dates.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    rules: Path | None = None
    date_format: str | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files whose content decides the rows."""
        return (self.path, self.rules) if self.rules else (self.path,)

    @property
    def reading(self) -> dict[str, Any]:
        """The reading options, as plain values."""
        return {"columns": dict(self.columns), "date_format": self.date_format}

    def origin(self) -> dict[str, Any]:
        """Name and digest of each file, for the provenance.

        Raises:
            OSError: a file cannot be read.
        """
        labels = {"labels": _named(self.rules)} if self.rules else {}
        return {**_named(self.path), **labels}


def check_tickets(file: TicketFile, fields: Sequence[str], optional: Sequence[str] = ()) -> tuple[Table, Checked]:
    """The file as a table, and the result of the contract check, with all faults.

    Args:
        file: the file to read.
        fields: the fields that it must have, `department` first.
        optional: fields that are read too if the file has a column for them.

    Raises:
        TicketRouterError: the file cannot be read, its labels file or date format is not valid, a column is missing,
            or no row is closed.
    """
    rules = load_rules(file.rules)
    table = read_table(file.path)
    columns = {usual_form(column) for column in table.columns}
    there = [name for name in optional if name in columns or name in file.columns]
    wanted = tuple(dict.fromkeys((*fields, *there)))
    return table, check_table(table, wanted, file.columns, rules, file.date_format)


def read_tickets(file: TicketFile, fields: Sequence[str], optional: Sequence[str] = ()) -> Checked:
    """The file's rows, all of them good. Arguments as in `check_tickets`.

    Raises:
        TicketRouterError: as in `check_tickets`; or a row breaks the contract.
    """
    table, checked = check_tickets(file, fields, optional)
    raise_faults(table, checked.faults)
    return checked


def _named(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": digest_of(path)}


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's content, 64 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class ClosedTickets:
    """The rows that have text, the number of rows without text, and the fields with values in the file.

    `outside`: rows that the labels file declares out of scope; `notes`: entries of the labels file that match nothing,
    and rows left out.
    """

    rows: tuple[PreparedRow, ...]
    empty: int
    fields: tuple[str, ...]
    outside: tuple[PreparedRow, ...]
    notes: tuple[str, ...]
    cells: Mapping[str, Mapping[int, str]]
    """By column that was asked for: each line's cell."""


def read_closed(file: TicketFile, known: Sequence[str] = (), columns: Sequence[str] = ()) -> ClosedTickets:
    """Read a file of closed tickets, with those of the `known` fields that have a column, and the cells of `columns`.

    Raises:
        TicketRouterError: the file is not valid, lacks one of `columns`, or no row has text.
    """
    table, checked = check_tickets(file, (DEPARTMENT,), optional=known)
    raise_faults(table, checked.faults)
    for column in columns:
        if column not in table.columns:
            raise TicketRouterError(f"{file.path}: no column {column!a} to slice by")
    rows = [row for row in checked.rows if row.label_source is not LabelSource.ROUTER_UNCHECKED]
    left_out = len(checked.rows) - len(rows)
    if not rows:
        raise TicketRouterError(f"{file.path}: every label is the router's own ({left_out}); nothing to measure on")
    filled, empty = prepare_rows(rows)
    if not filled:
        raise TicketRouterError(f"{file.path}: no row has text left after cleaning")
    outside, _ = prepare_rows(checked.outside)
    fields = tuple(dict.fromkeys(name for name in (DEPARTMENT, *known) if name in checked.columns))
    notes = (f"left out: {left_out} labels are the router's own and nobody checked them",) if left_out else ()
    cells = {column: {each.line: each.cells.get(column, "") for each in table.records} for column in columns}
    return ClosedTickets(tuple(filled), empty, fields, tuple(outside), (*checked.notes, *notes), cells)
