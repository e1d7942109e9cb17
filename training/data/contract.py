"""The data contract: which columns a table must have, and what its cells must hold. Records → `TicketRow`s.

Every fault is kept with its line, so that a person can mend the export in one go.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.ticket import ContentType, Ticket
from training.data.table import Record, Table

LABEL_CHARACTERS = 100
_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "ticket_id", "number"),
    "subject": ("subject", "title"),
    "body": ("body", "text", "description", "message", "content"),
    DEPARTMENT: (DEPARTMENT, "label", "team", "group", "queue", "category"),
    "split": ("split",),
    "requester": ("requester", "from", "sender", "email"),
    "content_type": ("content_type",),
}
_SPLITS: Mapping[str, str] = {
    "train": "train", "training": "train",
    "valid": "validation", "validation": "validation", "val": "validation", "dev": "validation",
    "calibration": "calibration", "cal": "calibration",
    "test": "test", "": "",
}  # fmt: skip
_CONTENT_TYPES: Mapping[str, ContentType] = {"": "text/plain", "text/plain": "text/plain", "text/html": "text/html"}


@dataclass(frozen=True, slots=True)
class TicketRow:
    """One closed ticket: what came in, and each field's value at close (None: not given)."""

    line: int
    ticket: Ticket
    labels: Mapping[str, str | None]
    split: str
    created_at: datetime | None = None
    """When it came in, with a time zone; None: the file does not say."""
    thread: str = ""
    """The conversation it belongs to; empty: not given. The requester is `ticket.sender`."""
    language: str = ""
    label_source: str = ""
    """Who set the department: empty, `close`, `agent`, `import`, or `router` where nobody checked it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in one row. `what` never repeats a cell's content."""

    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A table held against the contract: the good rows, and the faults of the others."""

    columns: Mapping[str, str]
    rows: tuple[TicketRow, ...]
    faults: tuple[Fault, ...]


def check_table(table: Table, fields: Sequence[str], mapping: Mapping[str, str]) -> Checked:
    """Hold every row against the contract.

    Args:
        table: the file.
        fields: the fields to learn, `department` first.
        mapping: role → column, where a column has none of its usual names.

    Raises:
        TicketRouterError: a needed column is missing.
    """
    columns = find_columns(table, fields, mapping)
    rows, faults = [], []
    for record in table.records:
        found = _row(record, columns, fields)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            rows.append(found)
    return Checked(columns, tuple(rows), tuple(faults))


def find_columns(table: Table, fields: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Each role's column: the mapped one, else the first of its usual names that is there.

    Raises:
        TicketRouterError: there is no text, no department, no column for a field, or a mapped column is not there.
    """
    for role, column in mapping.items():
        if role not in _USUAL_NAMES and role not in fields:
            roles = ", ".join(dict.fromkeys((*_USUAL_NAMES, *fields)))
            raise TicketRouterError(f"--column: nothing is called {role!r}; the roles are {roles}")
        if column not in table.columns:
            raise TicketRouterError(f"{table.path}: no column {column!a} (for {role}); {_columns_there(table)}")
    lower = {column.lower(): column for column in table.columns}
    columns = dict(mapping)
    for role in (*_USUAL_NAMES, *fields):
        usual = [lower[name] for name in _USUAL_NAMES.get(role, (role,)) if name in lower]
        if role not in columns and usual:
            columns[role] = usual[0]
    if "subject" not in columns and "body" not in columns:
        raise TicketRouterError(f"{table.path}: no column with text (subject, body or text); {_columns_there(table)}")
    for field in fields:
        if field not in columns:
            usual_names = " or ".join(_USUAL_NAMES.get(field, (field,))[:2])
            raise TicketRouterError(f"{table.path}: no column {usual_names}; {_columns_there(table)}")
    return columns


def raise_faults(table: Table, faults: Sequence[Fault]) -> None:
    """One line for all faults: the first, and how many more.

    Raises:
        TicketRouterError: there is at least one.
    """
    if faults:
        more = f" (and {len(faults) - 1} more rows; training check lists them)" if len(faults) > 1 else ""
        raise TicketRouterError(f"{table.path}: line {faults[0].line}: {faults[0].what}{more}")


def label_counts(rows: Iterable[TicketRow], field: str) -> Counter[str]:
    return Counter(label for row in rows if (label := row.labels[field]) is not None)


def _row(record: Record, columns: Mapping[str, str], fields: Sequence[str]) -> TicketRow | Fault:
    cells = {role: record.cells.get(column, "") for role, column in columns.items()}
    labels = {field: " ".join(cells[field].split()) or None for field in fields}
    fault = _fault(cells, labels)
    if fault:
        return Fault(record.line, fault)
    ticket = Ticket(
        subject=cells.get("subject", ""),
        body=cells.get("body", ""),
        content_type=_CONTENT_TYPES[_media_type(cells)],
        id=cells.get("id") or None,
        sender=cells.get("requester", ""),
    )
    return TicketRow(record.line, ticket, labels, _split(cells))


def _fault(cells: Mapping[str, str], labels: Mapping[str, str | None]) -> str | None:
    if labels[DEPARTMENT] is None:
        return "department is empty; fill it in or remove the row"
    if any(len(label) > LABEL_CHARACTERS for label in labels.values() if label):
        return f"a label has over {LABEL_CHARACTERS} characters; is the column the right one?"
    if cells.get("split", "").strip().lower() not in _SPLITS:
        return "split is none of train, validation, calibration, test"
    if _media_type(cells) not in _CONTENT_TYPES:
        return "content_type is neither text/plain nor text/html"
    return None


def _media_type(cells: Mapping[str, str]) -> str:
    """The content type without parameters, as `text/html; charset=utf-8` has them."""
    return cells.get("content_type", "").partition(";")[0].strip().lower()


def _split(cells: Mapping[str, str]) -> str:
    return _SPLITS[cells.get("split", "").strip().lower()]


def _columns_there(table: Table) -> str:
    # Shortened and escaped: in a file without a header these "names" are a ticket.
    names = ", ".join(repr(column)[1:-1][:40] for column in table.columns[:12])
    return f"it has: {names}; rename one or map it with --column ROLE=COLUMN"
