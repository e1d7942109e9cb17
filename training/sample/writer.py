"""Writes tickets as CSV, JSONL or Parquet; a file is complete or not written."""

import contextlib
import csv
import importlib
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

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
    """Write to a temporary file beside `path`, then rename, so that no reader sees a partial file.

    Raises:
        TicketRouterError: the name has another ending, or the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".jsonl", ".parquet"):
        raise TicketRouterError(f"cannot write {path.name}: its name must end in .csv, .jsonl or .parquet")
    rows = [{name: getattr(ticket, name) for name in COLUMNS} for ticket in tickets]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if kind == ".parquet":
            _write_parquet(rows, temporary)
        else:
            for row in rows:
                for name in ("created_at", "closed_at"):
                    row[name] = row[name] and row[name].strftime("%Y-%m-%dT%H:%M:%SZ")
            with temporary.open("w", encoding="utf-8", newline="\n" if kind == ".jsonl" else "") as file:
                if kind == ".jsonl":
                    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                else:
                    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                    table.writeheader()
                    table.writerows(row | {"auto_reply": str(row["auto_reply"]).lower()} for row in rows)
        temporary.replace(path)
    except OSError as error:
        raise TicketRouterError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        # Ignore errors here: the first error is the one to report.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write_parquet(rows: Sequence[dict[str, Any]], path: pathlib.Path) -> None:
    # Imported here: CSV output does not need pyarrow, which is slow to load.
    arrow = importlib.import_module("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    moment = arrow.timestamp("us", tz="UTC")
    types = {"created_at": moment, "closed_at": moment, "auto_reply": arrow.bool_()}
    schema = arrow.schema([(name, types.get(name, arrow.string())) for name in COLUMNS])
    parquet.write_table(arrow.Table.from_pylist(rows, schema=schema), path)
