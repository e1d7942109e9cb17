"""CSV, JSONL or Parquet → records: plain dicts of text by column name, with the line each one starts at."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError

CELL_CHARACTERS = 1_000_000
"""A longer cell is no e-mail but a fault of the export, mostly a quote that was never closed."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SUFFIXES = (".csv", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class Record:
    """One row as the file has it: its line (of the file; for Parquet: its row), and its cells, all text."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """A whole file: its columns in their order, and its rows."""

    path: Path
    columns: tuple[str, ...]
    records: tuple[Record, ...]


def read_table(path: Path) -> Table:
    """Read a file whole.

    Raises:
        TicketRouterError: unknown suffix, unreadable, not UTF-8, a cell too long, a broken row; names the line.
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
    text = _text(path)
    previous = csv.field_size_limit(CELL_CHARACTERS)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text), strict=True)
    try:
        header = _header(path, next(reader, []))
        return Table(path, header, tuple(_csv_records(path, reader, header)))
    except csv.Error as error:
        why = "a cell of over a million characters" if "field limit" in str(error) else str(error)
        where = f"{path}: line {reader.line_num}"
        raise TicketRouterError(f"{where}: {why}; look for a quote that is not closed") from error
    finally:
        csv.field_size_limit(previous)


def _csv_records(path: Path, reader: Any, header: tuple[str, ...]) -> Iterator[Record]:
    line = reader.line_num + 1
    for cells in reader:
        if cells and len(cells) != len(header):
            raise TicketRouterError(
                f"{path}: line {line}: {len(cells)} cells, the header has {len(header)}; "
                "look for an unquoted comma or line break"
            )
        if cells:
            yield Record(line, dict(zip(header, cells, strict=True)))
        line = reader.line_num + 1


def _header(path: Path, names: list[str]) -> tuple[str, ...]:
    header = tuple(name.strip() for name in names)
    if not any(header):
        raise TicketRouterError(f"{path}: line 1: no column names; the first line must be the header")
    if len(set(header)) != len(header):
        raise TicketRouterError(f"{path}: line 1: a column name stands twice; rename one")
    return header


def _delimiter(text: str) -> str:
    """Comma, or what a spreadsheet in a comma-as-decimal-point country writes: semicolon or tab."""
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
    return {str(name): _cell(path, line, str(name), value) for name, value in parsed.items()}


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise TicketRouterError(f"{path}: not a readable Parquet file; export it anew") from error
    records = (
        Record(row, {name: _cell(path, row, name, value) for name, value in cells.items()})
        for row, cells in enumerate(table.to_pylist(), start=1)
    )
    return Table(path, tuple(table.column_names), tuple(records))


def _cell(path: Path, line: int, name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list | bytes):
        raise TicketRouterError(f"{path}: line {line}: column {name!a} holds no plain value; flatten the export")
    text = value if isinstance(value, str) else str(value)
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
        raise TicketRouterError(
            f"{path}: line {line}: not UTF-8; save it as UTF-8 (for instance: iconv -f WINDOWS-1252 -t UTF-8)"
        ) from error
    if "\0" in text:
        raise TicketRouterError(f"{path}: line {text[: text.index(chr(0))].count(chr(10)) + 1}: a NUL byte; not text")
    return text
