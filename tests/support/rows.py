"""Closed tickets as tables and as rows, for tests of training."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.ticket import Ticket
from training.data.example import Example

CANARY = "canary-5f1c-content"
"""Stands in cells; must never turn up in an error."""


def write_csv(path: Path, rows: Iterable[Sequence[object]], header: Sequence[str] = ("subject", "department")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def ticket_row(line: int, text: str, department: str, split: str = "", **labels: str | None) -> Example:
    return Example(line, Ticket(subject="", body=text), {"department": department, **labels}, split)


def prepared(line: int, text: str, department: str, split: str = "", **labels: str | None) -> Example:
    """The same with its text cleaned."""
    return replace(ticket_row(line, text, department, split, **labels), text=text)
