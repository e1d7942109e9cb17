"""CSV, TSV and their kin: the separator, the quoting and the header are found by trying them on the file's head."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from models.errors import TicketRouterError
from training.data.formats.encodings import Encoding, bad_bytes, encoding_of
from training.data.formats.grid import Row, grid_records, header_names, header_place, twice_named
from training.data.formats.raw import HEAD, RawFile
from training.data.formats.table import CELL_CHARACTERS, Rereadable, Skipped, Table
from training.data.names import known_names

_SEPARATORS = ",;\t|"
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n')
_HEAD_ROWS = 200
_ENOUGH_ERRORS = 20


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How the cells are divided. Excel doubles a quote, databases put a backslash before it, some quote nothing."""

    separator: str
    quoting: str = "doubled"

    def reader(self, text: Any) -> Any:
        if self.quoting == "none":
            return csv.reader(text, delimiter=self.separator, quoting=csv.QUOTE_NONE)
        if self.quoting == "backslash":
            return csv.reader(text, delimiter=self.separator, doublequote=False, escapechar="\\", strict=True)
        return csv.reader(text, delimiter=self.separator, strict=True)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where everything is: the first `preamble` lines are titles, then the header."""

    dialect: _Dialect
    header: tuple[str, ...] = ()
    lines_above: int = 0
    score: tuple[float, ...] = field(default=())


def open_delimited(raw: RawFile) -> Table:
    encoding = encoding_of(raw)
    head = raw.head.decode(encoding.codec, "ignore" if encoding.errors == "replace" else encoding.errors)
    head = head.removeprefix("\ufeff")
    if len(raw.head) >= HEAD:  # cut in the middle
        head = head[: head.rfind("\n") + 1] or head
    if "\0" in head[:4096]:
        line = head[: head.index("\0")].count("\n") + 1
        raise TicketRouterError(f"{raw.path}: line {line}: a NUL byte; not text")
    sep = _SEP_LINE.match(head)
    start = sep.end() if sep else 0
    layout = _layout(head[start:], sep[1] if sep else None, whole=len(raw.head) < HEAD)
    if not layout.header:
        raise TicketRouterError(f"{raw.path}: line 1: no column names; the first line must be the header")
    skipped = Skipped()
    above = layout.lines_above + bool(sep)
    return Table(
        raw.path,
        layout.header,
        Rereadable(lambda: grid_records(_rows(raw, encoding, layout, above), layout.header, skipped, "line")),
        tuple(_notes(raw, encoding, layout, sep is not None)),
        skipped=skipped,
    )


def _notes(raw: RawFile, encoding: Encoding, layout: _Layout, sep: bool) -> Iterator[str]:
    yield from raw.notes
    if encoding.note:
        yield encoding.note
    separator = {"\t": "tab", ";": "semicolon", "|": "bar"}.get(layout.dialect.separator)
    if separator:
        yield f"cells are separated by {separator}s{' (sep= line)' if sep else ''}"
    if layout.dialect.quoting == "backslash":
        yield "quotes inside cells have a backslash before them"
    if layout.dialect.quoting == "none":
        yield "quotes are taken as text: no cell is quoted"
    if layout.lines_above:
        yield f"the header is in line {layout.lines_above + 1 + sep}; the lines above it are a title, skipped"
    if again := twice_named(layout.header):
        yield f"columns that stand twice: {', '.join(name[:40] for name in again[:5])}; the first one counts"


def _layout(text: str, separator: str | None, whole: bool) -> _Layout:
    """The dialect under which the head looks most like a table; at equal looks the more usual one."""
    best: _Layout | None = None
    for quoting in ("doubled", "backslash", "none"):
        if quoting == "backslash" and '\\"' not in text:
            continue
        # Programs that separate by commas quote; a stray quote among them is a fault, not a style.
        for each in (separator or _SEPARATORS) if quoting != "none" else "\t|":
            found = _tried(_Dialect(each, quoting), text, whole)
            if best is None or found.score > best.score:
                best = found
        if best is not None and best.score[1] > 0.9:  # most rows are as wide as the header
            break
    assert best is not None
    return best


def _tried(dialect: _Dialect, text: str, whole: bool) -> _Layout:
    rows: list[tuple[int, list[str]]] = []
    errors, line = 0, 1
    with _long_cells():
        reader = dialect.reader(io.StringIO(text, newline=""))
        while len(rows) < _HEAD_ROWS and errors < _ENOUGH_ERRORS:
            try:
                rows.append((line, next(reader)))
            except StopIteration:
                break
            except csv.Error:
                errors += 1
            line = reader.line_num + 1
    if not whole and len(rows) > 1:
        rows.pop()  # cut in the middle
    cells = [row for _, row in rows]
    place = header_place(cells)
    header = header_names(cells[place]) if cells else ()
    below = [row for row in cells[place + 1 :] if any(cell.strip() for cell in row)]
    alike = sum(len(row) >= len(header) for row in below) / (len(below) + errors) if below else 0.0
    known = known_names(header) if header else 0
    wide = len(header) > 1
    return _Layout(dialect, header, rows[place][0] - 1 if rows else 0, (wide * (1 + min(known, 3)), alike, len(header)))


def _rows(raw: RawFile, encoding: Encoding, layout: _Layout, above: int) -> Iterator[Row]:
    """The rows below the header. A broken row is a fault with its line; a quote that never closes ends the reading."""
    with raw.text(encoding.codec, encoding.errors) as text, _long_cells() as limit:
        for _ in range(above):
            text.readline()
        reader = layout.dialect.reader(text)
        line, is_header = above + 1, True
        while True:
            limit()
            try:
                cells = next(reader)
                fault = _cell_fault(cells, layout.header)
            except StopIteration:
                return
            except csv.Error as error:
                cells, fault = [], _quote_fault(str(error))
                if "end of data" in str(error) or "field limit" in str(error):
                    raise TicketRouterError(
                        f"{raw.path}: line {line}: {fault}{_open_column(raw, encoding, layout, line)}"
                    ) from error
            if not is_header:
                yield line, cells, fault
            is_header = False
            line = above + reader.line_num + 1


def _cell_fault(cells: Sequence[str], header: Sequence[str]) -> str:
    for name, cell in zip(header, cells, strict=False):
        if not cell.isascii() and bad_bytes(cell):
            return f"column {name[:40]!a} is not UTF-8; export anew as UTF-8"
        if "\0" in cell:
            return f"column {name[:40]!a} has a NUL byte; not text"
    return ""


def _quote_fault(why: str) -> str:
    if "field limit" in why:
        return "a cell of over a million characters; look for a quote that is not closed"
    if "end of data" in why:
        return "a quote is not closed before the file ends"
    return "text stands beside a quoted cell; look for a quote that is not closed or not doubled"


def _open_column(raw: RawFile, encoding: Encoding, layout: _Layout, line: int) -> str:
    """The column of the cell that begins in this line and does not end."""
    with raw.text(encoding.codec, encoding.errors) as text:
        for _ in range(line - 1):
            text.readline()
        begun = text.read(1 << 16)
    begun = begun.split("\n")[0].rstrip("\r") + '"'
    place = len(next(csv.reader([begun], delimiter=layout.dialect.separator))) - 1
    return f" (in column {layout.header[place][:40]!a})" if place < len(layout.header) else ""


@contextmanager
def _long_cells() -> Iterator[Any]:
    """csv's limit is the process's: it is set before each row, for other readers may run between, and set back."""
    previous = csv.field_size_limit()

    def limit() -> None:
        csv.field_size_limit(CELL_CHARACTERS)

    limit()
    try:
        yield limit
    finally:
        csv.field_size_limit(previous)
