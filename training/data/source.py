"""Files of closed tickets, their reading options, and their rows: every command that reads tickets takes a
`TicketFile`."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.label_source import LabelSource
from training.data.contract import Checked, Fault, RowReader, check_tables
from training.data.example import Example
from training.data.formats.registry import open_table
from training.data.formats.table import Table, Watched
from training.data.importing.plan import ReadOptions, make_plan
from training.data.labels import LabelRules, load_rules
from training.data.prepared import prepare_rows


@dataclass(frozen=True, slots=True)
class TicketFile:
    """One or more files of closed tickets, in any known format.

    `columns` maps roles to columns without a usual name; `rules` is the labels file; `date_format` is for ambiguous
    dates; `more` are further files; `closed` and `label_level` as in `ReadOptions`; `skip_faulty`: rows with faults are
    left out instead of refused.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    rules: Path | None = None
    date_format: str | None = None
    more: tuple[Path, ...] = ()
    closed: tuple[str, ...] = ()
    label_level: int | None = None
    skip_faulty: bool = False
    remembered: Mapping[str, str] = field(default_factory=dict)
    """Columns of last month's mapping: see `ReadOptions`."""

    @property
    def tables(self) -> tuple[Path, ...]:
        return (self.path, *self.more)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files whose content decides the rows."""
        return (*self.tables, self.rules) if self.rules else self.tables

    @property
    def options(self) -> ReadOptions:
        return ReadOptions(self.columns, self.date_format, self.closed, self.label_level, self.remembered)

    @property
    def reading(self) -> dict[str, Any]:
        """The reading options, as plain values; those of their default are left out."""
        further = {"closed": self.closed, "label_level": self.label_level, "skip_faulty": self.skip_faulty}
        return {
            "columns": {**self.remembered, **self.columns},
            "date_format": self.date_format,
            **{name: value for name, value in further.items() if value not in ((), None, False)},
        }

    def origin(self) -> dict[str, Any]:
        """Name and digest of each file, for the provenance.

        Raises:
            OSError: a file cannot be read.
        """
        labels = {"labels": _named(self.rules)} if self.rules else {}
        more = {"more": [_named(path) for path in self.more]} if self.more else {}
        return {**_named(self.path), **more, **labels}


def open_tickets(
    file: TicketFile, fields: Sequence[str], watch: Callable[[int], None] | None = None, *, answers: bool = False
) -> RowReader:
    """The files, planned and ready to be read row by row; `watch` is told the rows that the plan has seen.

    Arguments and errors as in `read_tickets`.
    """
    rules = load_rules(file.rules)
    tables = _tables(file)
    watched = [replace(table, records=Watched(table.records, watch)) for table in tables] if watch else tables
    plan = make_plan(watched, fields, file.options)
    files = tuple(replace(planned, table=table) for planned, table in zip(plan.files, tables, strict=True))
    return RowReader(replace(plan, files=files), rules, answers=answers)


def read_tickets(
    file: TicketFile, fields: Sequence[str], optional: Sequence[str] = (), rules: LabelRules | None = None
) -> Checked:
    """The files' rows, all of them good.

    Args:
        file: the files to read.
        fields: the fields that they must have, `department` first.
        optional: fields that are read too if the files have a column for them.
        rules: in place of those of the labels file.

    Raises:
        TicketRouterError: a file cannot be read, its labels file or date format is not valid, a column is missing or
            two could be it, no row is closed and checked; or a row breaks the contract and is not to be skipped.
    """
    rules = load_rules(file.rules) if rules is None else rules
    checked = check_tables(_tables(file), fields, file.options, rules, optional)
    refuse_faults(file, checked.faults, checked.faulty)
    return checked


def refuse_faults(file: TicketFile, found: Sequence[Fault], faulty: int) -> None:
    """Raise TicketRouterError, with the first of the faults that `skip_faulty` does not pass over. `faulty`: the number
    of rows."""
    # Two spellings of a label are a question about all of its rows: to skip one row would not answer it.
    spellings = [fault for fault in found if "differs by case or blanks" in fault.what]
    faults: Sequence[Fault] = spellings if file.skip_faulty else found
    if faults:
        others = max(faulty, len({fault.line for fault in faults})) - 1
        more = f" (and {others} more rows; training check lists them, --skip-faulty leaves them out)" if others else ""
        raise TicketRouterError(f"{file.path}: {faults[0]}{more}")


def _tables(file: TicketFile) -> list[Table]:
    return [open_table(path) for path in file.tables]


def learned_from(file: TicketFile, origins: Iterable[Mapping[str, Any]]) -> Path | None:
    """The first of the file's tables that one of these bundle origins (`TicketFile.origin`) names; None: none does."""
    known = {each.get("sha256") for origin in origins for each in (origin, *origin.get("more", ()))}
    return next((path for path in file.tables if digest_of(path) in known), None)


def _named(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": digest_of(path)}


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's content, 64 hex digits; of a folder, that of its files' names and digests.

    Raises:
        OSError: the file cannot be read.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        named = (f"{file.relative_to(path).as_posix()} {digest_of(file)}\n" for file in files)
        return hashlib.sha256("".join(named).encode("utf-8", "surrogateescape")).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class ClosedTickets:
    """The rows that have text, the number of rows without text, and the fields with values in the file.

    `outside`: rows that the labels file declares out of scope; `notes`: what the reading took for granted,
    and rows left out.
    """

    rows: tuple[Example, ...]
    empty: int
    fields: tuple[str, ...]
    outside: tuple[Example, ...]
    notes: tuple[str, ...]
    cells: Mapping[str, Mapping[int, str]]
    """By column that was asked for: each line's cell."""


def read_closed(file: TicketFile, known: Sequence[str] = (), columns: Sequence[str] = ()) -> ClosedTickets:
    """Read a file of closed tickets, with those of the `known` fields that have a column, and the cells of `columns`.

    Raises:
        TicketRouterError: the file is not valid, lacks one of `columns`, or no row has text.
    """
    checked = read_tickets(file, (DEPARTMENT,), optional=known)
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
    cells = _cells(file, columns) if columns else {}
    return ClosedTickets(tuple(filled), empty, fields, tuple(outside), (*checked.notes, *notes), cells)


def _cells(file: TicketFile, columns: Sequence[str]) -> dict[str, dict[int, str]]:
    """By column: each line's cell, over all files."""
    plan = make_plan(_tables(file), (DEPARTMENT,), file.options)
    found: dict[str, dict[int, str]] = {column: {} for column in columns}
    for planned in plan.files:
        for column in columns:
            if column not in planned.found.profiles:
                raise TicketRouterError(f"{planned.table.path}: no column {column!a} to slice by")
        for record in planned.table.records:
            for column in columns:
                found[column][record.line + planned.offset] = record.cells.get(column, "")
    return found
