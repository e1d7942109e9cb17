"""Tables as CSV files that a spreadsheet cannot run: a cell that begins like a formula gets an apostrophe."""

import csv
import io
from collections.abc import Iterable, Sequence

Cell = str | int | float | None
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings that Excel, LibreOffice or a sheet in the web take for a formula, the full-width ones too."""


def csv_of(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Labels come from tickets' exports, so every text is defused; numbers are written as they are."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow([_defused(cell) for cell in header])
    writer.writerows([_defused(cell) for cell in row] for row in rows)
    return file.getvalue()


def _defused(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" \0").startswith(FORMULA) else cell
