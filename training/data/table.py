"""CSV, JSONL or Parquet → records: dicts of text by column name, with each record's first line."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError

CELL_CHARACTERS = 1_000_000
"""A longer cell is a fault of the export, mostly an unclosed quote, not an e-mail."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_JSON_CELL = re.compile(r'"((?:[^"\\]|\\.)*)"\s*:\s*"(?:[^"\\]|\\.)*$')
"""An unfinished cell: its value has begun and not ended."""
_SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the file: its line (in Parquet: its row number), and its cells, all text."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A whole file: its columns in their order, and its rows."""

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]


def read_table(path: Path) -> Table:
    """Read a whole file.

    Raises:
        TicketRouterError: unknown suffix, unreadable, not UTF-8, a cell too long, a broken row; the message names the
            line.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise TicketRouterError(f"{path}: unknown kind of file; give {', '.join(_SUFFIXES)}")
    reader = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}[path.suffix.lower()]
    try:
        table = reader(path)
    except OSError as error:
        raise TicketRouterError(f"{path}: cannot be read ({error.strerror or 'not such a file'})") from error
    if not table.records:
        raise TicketRouterError(f"{path}: has no rows")
    return table


def _read_csv(path: Path) -> Table:
    previous = csv.field_size_limit(CELL_CHARACTERS)
    try:
        rows = _csv_rows(path, _text(path))
        header = _header(path, next(rows, (1, []))[1])
        return Table(path, header, tuple(_csv_records(path, rows, header)))
    finally:
        csv.field_size_limit(previous)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row's cells and first line: an unclosed quote is reported where it opens, not where the file ends."""
    # Not `splitlines`: that also breaks at form feeds and U+2028, which occur inside mails.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        why = "a cell of over a million characters" if "field limit" in str(error) else str(error)
        where = _column_at_end(path, text) if "end of data" in why else ""
        raise TicketRouterError(f"{path}: line {line}: {why}{where}; look for a quote that is not closed") from error


def _csv_records(path: Path, rows: Iterator[tuple[int, list[str]]], header: tuple[str, ...]) -> Iterator[Record]:
    for line, cells in rows:
        if cells and len(cells) != len(header):
            raise TicketRouterError(
                f"{path}: line {line}: {len(cells)} cells, the header has {len(header)}; "
                "look for an unquoted comma or line break"
            )
        if cells:
            yield Record(line, dict(zip(header, cells, strict=True)))


def _header(path: Path, names: list[str]) -> tuple[str, ...]:
    header = tuple(name.strip() for name in names)
    if not any(header):
        raise TicketRouterError(f"{path}: line 1: no column names; the first line must be the header")
    if len(set(header)) != len(header):
        raise TicketRouterError(f"{path}: line 1: a column name stands twice; rename one")
    return header


def _delimiter(text: str) -> str:
    """The delimiter: comma; or semicolon or tab, as spreadsheets write in countries with a decimal comma."""
    header = text.split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _read_jsonl(path: Path) -> Table:
    columns: dict[str, None] = {}
    records = []
    for line, raw in enumerate(_text(path).split("\n"), start=1):
        if raw.strip():
            cells = _json_cells(path, line, raw)
            columns.update(dict.fromkeys(cells))
            records.append(Record(line, cells))
    return Table(path, tuple(columns), tuple(records))


def _json_cells(path: Path, line: int, raw: str) -> dict[str, str]:
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise TicketRouterError(f"{path}: line {line}: not valid JSON; each line must be one object") from error
    if not isinstance(parsed, dict):
        raise TicketRouterError(f"{path}: line {line}: not a JSON object; each line must be one")
    return {_sound(name): _sound(_cell(path, line, name, value)) for name, value in parsed.items()}


def _sound(text: str) -> str:
    """JSON can hold half a surrogate pair (an emoji cut in two), which cannot be encoded as UTF-8."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _read_parquet(path: Path) -> Table:
    import pyarrow.parquet as pq

    path.open("rb").close()  # pyarrow accepts folders and has other messages for a missing file
    try:
        table = _in_microseconds(pq.read_table(path))
        rows = table.to_pylist()
    except Exception as error:  # damaged files raise many types, pyarrow's own and Python's
        raise TicketRouterError(f"{path}: not a readable Parquet file; export it anew") from error
    records = (
        Record(row, {name: _cell(path, row, name, value) for name, value in cells.items()})
        for row, cells in enumerate(rows, start=1)
    )
    return Table(path, tuple(table.column_names), tuple(records))


def _in_microseconds(table: Any) -> Any:
    """Data tools write dates in nanoseconds, which Python's dates do not support."""
    import pyarrow as pa

    fields = [
        field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields), safe=False)


def _cell(path: Path, line: int, name: str, value: object) -> str:
    if value is None or value != value:  # NaN: data tools' missing value
        return ""
    if isinstance(value, dict | list | bytes):
        raise TicketRouterError(f"{path}: line {line}: column {name!a} holds no plain value; flatten the export")
    text = str(value)
    if len(text) > CELL_CHARACTERS:
        raise TicketRouterError(f"{path}: line {line}: column {name!a} has over a million characters; shorten it")
    return text


def _text(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith(_UTF16):
        raise TicketRouterError(f"{path}: is UTF-16; save it as UTF-8 (for instance: iconv -f UTF-16 -t UTF-8)")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        where = _column_at_end(path, raw[: error.start].decode("utf-8-sig", "replace"))
        raise TicketRouterError(
            f"{path}: line {line}: not UTF-8{where}; save it as UTF-8 (for instance: iconv -f WINDOWS-1252 -t UTF-8)"
        ) from error
    if "\0" in text:
        sound = text[: text.index("\0")]
        raise TicketRouterError(
            f"{path}: line {sound.count(chr(10)) + 1}: a NUL byte{_column_at_end(path, sound)}; not text"
        )
    return text


def _column_at_end(path: Path, text: str) -> str:
    """The column of the unfinished cell, for the error message; empty if unknown."""
    if path.suffix.lower() == ".jsonl":
        found = _JSON_CELL.search(text.rpartition("\n")[2])
        return _in_column(found[1]) if found else ""
    # One more letter: after a comma or a line break, the text then ends in the cell that would follow.
    reader = csv.reader(io.StringIO(text + "x", newline=""), delimiter=_delimiter(text))
    try:
        header = cells = next(reader)
        for cells in reader:  # noqa: B007 the last one is wanted
            pass
    except csv.Error:
        return ""
    return _in_column(header[len(cells) - 1].strip()) if cells is not header and len(cells) <= len(header) else ""


def _in_column(name: str) -> str:
    return f" in column {name[:40]!a}"
