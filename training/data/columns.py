"""Maps roles to columns: by the option `--column`, otherwise by usual names. Used by `contract`."""

import re
from collections.abc import Mapping, Sequence

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.table import Table

_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "ticket_id", "number"),
    "subject": ("subject", "title"),
    "body": ("body", "text", "description", "message", "content"),
    DEPARTMENT: (DEPARTMENT, "label", "team", "group", "queue", "category"),
    "split": ("split",),
    "requester": ("requester", "from", "sender", "email"),
    "content_type": ("content_type",),
    "created_at": ("created_at", "created", "created_on", "created_date", "date", "opened_at", "opened", "received_at",
                   "received", "date_received"),
    "closed_at": ("closed_at", "closed", "closed_on", "closed_date", "solved_at", "resolved_at"),
    "status": ("status", "ticket_status"),
    "thread": ("thread", "thread_id", "conversation", "conversation_id"),
    "language": ("language", "lang", "locale"),
    "label_source": ("label_source",),
}  # fmt: skip


def find_columns(table: Table, fields: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Each role's column: the mapped one, otherwise the first of its usual names in the file.

    Raises:
        TicketRouterError: the text, the department, a field's column or a mapped column is missing.
    """
    _refuse_unknown(table, fields, mapping)
    there = {usual_form(column): column for column in reversed(table.columns)}
    columns = dict(mapping)
    for role in (*_USUAL_NAMES, *fields):
        usual = [there[name] for name in _USUAL_NAMES.get(role, (role,)) if name in there]
        if role not in columns and usual:
            columns[role] = usual[0]
    if "subject" not in columns and "body" not in columns:
        raise TicketRouterError(f"{table.path}: no column with text (subject, body or text); {_columns_there(table)}")
    for field in fields:
        if field not in columns:
            usual_names = " or ".join(_USUAL_NAMES.get(field, (field,))[:2])
            raise TicketRouterError(f"{table.path}: no column {usual_names}; {_columns_there(table)}")
    return columns


def usual_form(column: str) -> str:
    """Normalise a column name: `Created At`, `created-at` and `created_at` are equal."""
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def _refuse_unknown(table: Table, fields: Sequence[str], mapping: Mapping[str, str]) -> None:
    for role, column in mapping.items():
        if role not in _USUAL_NAMES and role not in fields:
            roles = ", ".join(dict.fromkeys((*_USUAL_NAMES, *fields)))
            raise TicketRouterError(f"--column: nothing is called {role!r}; the roles are {roles}")
        if column not in table.columns:
            raise TicketRouterError(f"{table.path}: no column {column!a} (for {role}); {_columns_there(table)}")


def _columns_there(table: Table) -> str:
    # Shortened and escaped: in a file without a header, these names are a ticket's content.
    names = ", ".join(repr(column)[1:-1][:40] for column in table.columns[:12])
    return f"it has: {names}; rename one or map it with --column ROLE=COLUMN"
