"""The data contract: a table's records → `TicketRow`s, and all faults with their lines.

`columns` finds the columns, `dates` and `labels` parse theirs, `schema` checks the cells.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from enum import Enum

import pandas as pd

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.label_source import LabelSource
from models.ticket import ContentType, Ticket
from training.data.columns import find_columns
from training.data.dates import Moment, read_dates
from training.data.labels import NO_RULES, LabelRules, one_spaced, spellings
from training.data.schema import SOURCES, SPLITS, Fault, find_faults
from training.data.table import Table

_DATES = ("created_at", "closed_at")
_CONTENT_TYPES: Mapping[str, ContentType] = {"": "text/plain", "text/plain": "text/plain", "text/html": "text/html"}
_CLOSED = frozenset(
    ("closed", "solved", "resolved", "done", "completed", "geschlossen", "gelöst", "erledigt", "abgeschlossen",
     "fermé", "résolu", "cerrado", "resuelto", "chiuso", "risolto")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TicketRow:
    """One closed ticket: its content, and each field's value at close (None: not given, or not to be learned)."""

    line: int
    ticket: Ticket
    labels: Mapping[str, str | None]
    split: str
    created_at: datetime | None = None
    """Time of arrival, with a time zone; None: not given."""
    thread: str = ""
    """Id of the conversation; empty: not given. The requester is `ticket.sender`."""
    language: str = ""
    label_source: LabelSource | None = None
    """Source of the department; None: not given, a person's."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A checked table: the good rows, the faults of the others, and the rows left out before the check."""

    columns: Mapping[str, str]
    rows: tuple[TicketRow, ...]
    faults: tuple[Fault, ...]
    outside: tuple[TicketRow, ...] = ()
    """Good rows with a label that the labels file declares out of scope; their department is None."""
    not_closed: int = 0
    retired: int = 0
    aliases: Mapping[str, Mapping[str, str]] = dataclass_field(default_factory=dict)
    """By field: labels that differ from another label only by case or blanks → that label."""
    notes: tuple[str, ...] = ()
    """Entries of the labels file that match nothing."""


class _Fate(Enum):
    """The fate of a row, decided before its cells are checked."""

    KEPT = "kept"
    OUTSIDE = "outside"
    NOT_CLOSED = "not closed"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class _Row:
    """A record by role, its labels after the labels file's aliases (empty: none), and its dates."""

    line: int
    cells: Mapping[str, str]
    labels: Mapping[str, str]
    dates: Mapping[str, Moment]
    fate: _Fate

    def split(self) -> str:
        return self.cells.get("split", "").strip().lower()

    def source(self) -> str:
        return self.cells.get("label_source", "").strip().casefold()

    def media_type(self) -> str:
        """The content type without parameters (`text/html; charset=utf-8` → `text/html`)."""
        return self.cells.get("content_type", "").partition(";")[0].strip().lower()


def check_table(
    table: Table,
    fields: Sequence[str],
    mapping: Mapping[str, str],
    rules: LabelRules = NO_RULES,
    date_format: str | None = None,
) -> Checked:
    """Check every row against the contract.

    Args:
        table: the file's records.
        fields: the fields to learn, `department` first.
        mapping: role → column, for columns without a usual name.
        rules: the labels file.
        date_format: see `read_dates`.

    Raises:
        TicketRouterError: a needed column is missing, the date format is not valid, or no row is closed.
    """
    columns = find_columns(table, fields, mapping)
    every = _rows(table, columns, fields, rules, date_format)
    fates = Counter(row.fate for row in every)
    sought = [row for row in every if row.fate in (_Fate.KEPT, _Fate.OUTSIDE)]
    if not sought:
        raise TicketRouterError(f"{table.path}: no row to learn from: {_left_out(fates, columns)}")
    settled = [row for row in every if row.fate is not _Fate.NOT_CLOSED]
    counts = {field: Counter(row.labels[field] for row in settled if row.labels[field]) for field in fields}
    aliases = {field: found for field, labels in counts.items() if (found := spellings(labels))}
    faults = [Fault(line, what, columns[role]) for line, role, what in find_faults(_frame(sought, fields), fields)]
    broken = {fault.line for fault in faults}
    good = [row for row in sought if row.line not in broken]
    faults += _spelling_faults(settled, counts, aliases, columns)
    return Checked(
        columns=columns,
        rows=tuple(_ticket_row(row, rules) for row in good if row.fate is _Fate.KEPT),
        faults=tuple(sorted(faults, key=lambda fault: fault.line)),
        outside=tuple(_ticket_row(row, rules) for row in good if row.fate is _Fate.OUTSIDE),
        not_closed=fates[_Fate.NOT_CLOSED],
        retired=fates[_Fate.RETIRED],
        aliases=aliases,
        notes=(*_unused_notes(table, columns, fields, rules), *_blank_notes(table, columns, fields)),
    )


def raise_faults(table: Table, faults: Sequence[Fault]) -> None:
    """Raise one error for all faults: the first fault, and the number of the others.

    Raises:
        TicketRouterError: there is at least one fault.
    """
    if faults:
        others = len({fault.line for fault in faults}) - 1
        more = f" (and {others} more rows; training check lists them)" if others else ""
        raise TicketRouterError(f"{table.path}: {faults[0]}{more}")


def label_counts(rows: Iterable[TicketRow], field: str) -> Counter[str]:
    return Counter(label for row in rows if (label := row.labels[field]) is not None)


def _rows(
    table: Table, columns: Mapping[str, str], fields: Sequence[str], rules: LabelRules, date_format: str | None
) -> list[_Row]:
    cells = [{role: record.cells.get(column, "") for role, column in columns.items()} for record in table.records]
    dates = {role: read_dates([row[role] for row in cells], role, date_format) for role in _DATES if role in columns}
    # If the `closed_at` column is empty throughout, the export does not use it: the tickets are not all open.
    closes = any(row.get("closed_at", "").strip() for row in cells)
    aliases = {field: rules.of(field).aliases for field in fields}
    rows = []
    for number, (record, row) in enumerate(zip(table.records, cells, strict=True)):
        read = {field: one_spaced(row[field]) for field in fields}
        labels = {field: aliases[field].get(label, label) for field, label in read.items()}
        own_dates = {role: moments[number] for role, moments in dates.items()}
        rows.append(_Row(record.line, row, labels, own_dates, _fate(row, labels[DEPARTMENT], rules, closes)))
    return rows


def _fate(cells: Mapping[str, str], department: str, rules: LabelRules, closes: bool) -> _Fate:
    """Leave out open tickets: their labels are not final, so not even a fault."""
    status = cells.get("status", "").strip().casefold()
    if status not in _CLOSED if status else closes and not cells["closed_at"].strip():
        return _Fate.NOT_CLOSED
    own = rules.of(DEPARTMENT)
    if department in own.retire:
        return _Fate.RETIRED
    return _Fate.OUTSIDE if department in own.out_of_scope else _Fate.KEPT


def _left_out(fates: Mapping[_Fate, int], columns: Mapping[str, str]) -> str:
    counts = ", ".join(f"{count} are {fate.value}" for fate, count in fates.items())
    status = f"; rename column {columns['status'][:40]!a} if it is no ticket's status" if "status" in columns else ""
    return f"of its rows {counts}{status}"


def _frame(rows: Sequence[_Row], fields: Sequence[str]) -> pd.DataFrame:
    """The frame for the schema, indexed by line: see `find_faults`."""
    columns: dict[str, list[object]] = {field: [row.labels[field] for row in rows] for field in fields}
    columns["split"] = [row.split() for row in rows]
    columns["content_type"] = [row.media_type() for row in rows]
    columns["label_source"] = [row.source() for row in rows]
    now = datetime.now(UTC)
    for role in rows[0].dates:
        columns[f"{role}:read"] = [row.dates[role].fault for row in rows]
        columns[f"{role}:age"] = [_days(row.dates[role].at, now) for row in rows]
    if len(rows[0].dates) == len(_DATES):
        columns["closed_at:wait"] = [_days(*(row.dates[role].at for role in _DATES)) for row in rows]
    columns["id:clash"] = list(_clashes(rows))
    return pd.DataFrame(columns, index=[row.line for row in rows])


def _days(first: datetime | None, then: datetime | None) -> float:
    return (then - first).total_seconds() / 86400 if first and then else float("nan")


def _clashes(rows: Iterable[_Row]) -> Iterable[int]:
    """For each row: the line of an earlier row with the same id and another label, or 0."""
    first: dict[tuple[str, str], tuple[str, int]] = {}
    for row in rows:
        clash = 0
        name = row.cells.get("id", "").strip()
        for field, label in row.labels.items() if name else ():
            if label:
                there, line = first.setdefault((name, field), (label, row.line))
                clash = clash or (line if there != label else 0)
        yield clash


def _spelling_faults(
    rows: Sequence[_Row],
    counts: Mapping[str, Counter[str]],
    aliases: Mapping[str, Mapping[str, str]],
    columns: Mapping[str, str],
) -> Iterable[Fault]:
    """One fault for each spelling, at its first row: the network would learn two labels that mean the same."""
    for field, found in aliases.items():
        first: dict[str, int] = {}
        for row in rows:
            first.setdefault(row.labels[field], row.line)
        for label, kept in found.items():
            what = (
                f"{field} differs by case or blanks only from that of line {first[kept]} "
                f"({counts[field][label]} rows against {counts[field][kept]}); merge them in the labels file"
            )
            yield Fault(first[label], what, columns[field])


def _unused_notes(table: Table, columns: Mapping[str, str], fields: Sequence[str], rules: LabelRules) -> Iterable[str]:
    cells = {field: [record.cells.get(columns[field], "") for record in table.records] for field in fields}
    return rules.unused({field: {one_spaced(cell) for cell in found} for field, found in cells.items()})


def _blank_notes(table: Table, columns: Mapping[str, str], fields: Sequence[str]) -> Iterable[str]:
    """Notes on labels with extra blanks: the blanks are removed, so the label is the same, but the export is
    careless."""
    for field in fields:
        cells = [(record.line, record.cells.get(columns[field], "")) for record in table.records]
        lines = [line for line, label in cells if label != one_spaced(label)]
        if lines:
            yield f"{field}: {len(lines)} rows have blanks too many, read without them (first: line {lines[0]})"


def _ticket_row(row: _Row, rules: LabelRules) -> TicketRow:
    cells = row.cells
    ticket = Ticket(
        subject=cells.get("subject", ""),
        body=cells.get("body", ""),
        content_type=_CONTENT_TYPES[row.media_type()],
        id=cells.get("id") or None,
        sender=cells.get("requester", ""),
    )
    created = row.dates.get("created_at", Moment()).at
    # Of the department only out-of-scope labels are left here: rows of retired ones are already removed.
    hidden = {field: rules.of(field).retire | rules.of(field).out_of_scope for field in row.labels}
    labels = {field: None if label in hidden[field] else label or None for field, label in row.labels.items()}
    thread, language = (cells.get(role, "").strip() for role in ("thread", "language"))
    source = SOURCES[row.source()]
    return TicketRow(row.line, ticket, labels, SPLITS[row.split()], created, thread, language.lower(), source)
