"""Writes tickets as CSV, JSONL or Parquet; a file is complete or not written."""

import csv
import datetime as dt
import importlib
import json
import os
import pathlib
from collections.abc import Callable, Sequence

from models.errors import TicketRouterError
from training.sample.tickets import SampleTicket

COLUMNS = (
    "id",
    "created_at",
    "closed_at",
    "subject",
    "body",
    "content_type",
    "requester",
    "department",
    "priority",
    "language",
    "auto_reply",
)


def write_tickets(tickets: Sequence[SampleTicket], path: pathlib.Path) -> None:
    """Write to a temporary file beside `path`, then rename, so that no reader sees a partial file."""
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise TicketRouterError(f"cannot write {path.name}: its name must end in .csv, .jsonl or .parquet")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(tickets, temporary)
        temporary.replace(path)
    except OSError as error:
        raise TicketRouterError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        _discard(temporary)


def _discard(temporary: pathlib.Path) -> None:
    """Remove the file, and ignore errors: the first error is the one to report."""
    try:
        temporary.unlink(missing_ok=True)
    except OSError:
        return


def _row(ticket: SampleTicket) -> dict[str, object]:
    return {name: getattr(ticket, name) for name in COLUMNS}


def _text_row(ticket: SampleTicket) -> dict[str, object]:
    row = _row(ticket)
    return row | {"created_at": _iso(ticket.created_at), "closed_at": _iso(ticket.closed_at)}


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _write_csv(tickets: Sequence[SampleTicket], path: pathlib.Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(_text_row(ticket) | {"auto_reply": str(ticket.auto_reply).lower()} for ticket in tickets)


def _write_jsonl(tickets: Sequence[SampleTicket], path: pathlib.Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(_text_row(ticket), ensure_ascii=False) + "\n" for ticket in tickets)


def _write_parquet(tickets: Sequence[SampleTicket], path: pathlib.Path) -> None:
    # Imported here: CSV output does not need pyarrow, which is slow to load.
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    moment = arrow.timestamp("us", tz="UTC")
    types = {"created_at": moment, "closed_at": moment, "auto_reply": arrow.bool_()}
    schema = arrow.schema([(name, types.get(name, arrow.string())) for name in COLUMNS])
    parquet.write_table(arrow.Table.from_pylist([_row(ticket) for ticket in tickets], schema=schema), path)


_WRITERS: dict[str, Callable[[Sequence[SampleTicket], pathlib.Path], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
