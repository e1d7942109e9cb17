"""Excel and OpenDocument workbooks → records of the one sheet that holds tickets."""

import datetime as dt
import io
from collections.abc import Iterator
from typing import Any

from models.errors import TicketRouterError
from training.data.formats.grid import Row, filled, grid_records, header_names, header_place, twice_named
from training.data.formats.raw import RawFile, unpacking
from training.data.formats.table import Rereadable, Skipped, Table
from training.data.names import known_names

_HEAD_ROWS = 200


def open_workbook(raw: RawFile) -> Table:
    """
    Raises:
        TicketRouterError: not a readable workbook, or two sheets could be the tickets.
    """
    from python_calamine import CalamineWorkbook, SheetVisibleEnum

    try:
        with unpacking(raw.path), raw.open() as file:
            book = CalamineWorkbook.from_filelike(io.BytesIO(file.read()))
            shown = [sheet.name for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
            heads = {name: _sheet_head(book, name) for name in shown or book.sheet_names}
    except TicketRouterError:
        raise
    except Exception as error:  # the library has a dozen types of its own
        raise TicketRouterError(f"{raw.path}: not a readable workbook; save it anew, or as CSV") from error
    sheets = {name: rows for name, rows in heads.items() if rows}
    if not sheets:
        raise TicketRouterError(f"{raw.path}: has no rows")
    likely = [name for name, rows in sheets.items() if known_names(rows[header_place(rows)]) >= 2] or list(sheets)
    if len(likely) > 1:
        named = " and ".join(repr(name[:40]) for name in likely[:3])
        raise TicketRouterError(f"{raw.path}: the sheets {named} could both be the tickets; save the right one as CSV")
    sheet = likely[0]
    place = header_place(sheets[sheet])
    header = header_names(sheets[sheet][place])
    skipped = Skipped()
    notes = list(raw.notes)
    if others := [name for name in book.sheet_names if name != sheet]:
        named = ", ".join(repr(name[:40])[1:-1] for name in others[:5])
        notes.append(f"sheet {sheet[:40]!a} is read; not read: {named}")
    if place:
        notes.append(f"the header is in row {place + 1}; the rows above it are a title, skipped")
    if again := twice_named(header):
        notes.append(f"columns that stand twice: {', '.join(name[:40] for name in again[:5])}; the first one counts")
    if any(
        bottom > max(top, place + 1) for (top, _), (bottom, _) in book.get_sheet_by_name(sheet).merged_cell_ranges or ()
    ):
        notes.append("cells merged over several rows count in each of them")
    rows = Rereadable(lambda: grid_records(_rows(book, sheet, place), header, skipped, "row"))
    return Table(raw.path, header, rows, tuple(notes), "row", skipped)


def _sheet_head(book: Any, name: str) -> list[list[str]]:
    rows: list[list[str]] = []
    for cells in book.get_sheet_by_name(name).iter_rows():
        rows.append([_text(cell) for cell in cells])
        if len(rows) >= _HEAD_ROWS:
            break
    return rows if any(map(filled, rows)) else []


def _rows(book: Any, sheet: str, place: int) -> Iterator[Row]:
    """The rows below the header; a cell merged over several rows counts in each."""
    found = book.get_sheet_by_name(sheet)
    above: dict[int, list[int]] = {}
    for (top, column), (bottom, _) in found.merged_cell_ranges or ():
        for row in range(max(top, place + 1) + 1, bottom + 1):
            above.setdefault(row, []).append(column)
    before: list[str] = []
    for row, values in enumerate(found.iter_rows()):
        cells = [_text(cell) for cell in values]
        for column in above.get(row, ()):
            if column < len(cells):
                cells[column] = before[column]
        before = cells
        if row > place:
            yield row + 1, cells, ""


def _text(cell: Any) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, dt.datetime):
        return cell.isoformat(" ", "seconds")
    # Excel writes a line break as _x000D_ before the real one.
    return str(cell).replace("_x000D_", "")
