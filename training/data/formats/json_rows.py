"""JSON → records: one object a line, a list of objects, or a list inside an object (`{"tickets": [...]}`)."""

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any

import ijson

from models.errors import TicketRouterError
from training.data.formats.encodings import Encoding, bad_bytes, encoding_of
from training.data.formats.nested import plain_cells
from training.data.formats.raw import RawFile, unpacking
from training.data.formats.table import CELL_CHARACTERS, Record, Rereadable, Skipped, Table
from training.data.names import known_names

_LONGEST_LINE = 64 << 20
_DEEPEST_LIST = 8
_MOST_EVENTS = 20_000
_DEEP = re.compile(rb"""(?:[\[{](?:\s|"[^"]{0,60}"\s*:)*){60}""")
_TICKET_NAMES = 2
"""Keys of an object that tickets have: with so many it is a ticket, not what lists tickets."""


def open_json(raw: RawFile) -> Table:
    encoding = encoding_of(raw)
    notes = (*raw.notes, *([encoding.note] if encoding.note else []))
    if _is_lines(raw, encoding):
        skipped = Skipped()
        return Table(
            raw.path,
            (),
            Rereadable(lambda: _lines(raw, encoding, skipped)),
            (*notes, "read as JSON, one object a line"),
            skipped=skipped,
        )
    prefix = _list_prefix(raw, encoding)
    where = "a JSON list" if prefix == "item" else f"the JSON list {prefix.removesuffix('.item')!a}"
    note = where if prefix else "JSON objects one after the other"
    return Table(raw.path, (), Rereadable(lambda: _items(raw, encoding, prefix)), (*notes, f"read as {note}"), "row")


def _is_lines(raw: RawFile, encoding: Encoding) -> bool:
    """Whether the first line that is not blank is a whole object, and not one that holds the list of tickets."""
    with raw.text(encoding.codec, "replace", "\n") as text:
        line = next(
            (found for found in iter(lambda: text.readline(_LONGEST_LINE), "") if found.strip("\ufeff \t\r\n")), ""
        )
        more = bool(text.read(1 << 16).strip())
    try:
        first = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        by_name = more or raw.suffix in (".jsonl", ".ndjson")
        return by_name and line.lstrip("\ufeff").lstrip().startswith("{") and len(line.strip()) > 1
    if not isinstance(first, dict):
        return not isinstance(first, list)
    is_ticket = known_names(list(first)) >= _TICKET_NAMES
    lists = any(isinstance(value, list) and value and isinstance(value[0], dict) for value in first.values())
    return more or (not _only_holds(first) and (is_ticket or not lists))


def _only_holds(values: Mapping[str, object]) -> bool:
    """Whether an object holds nothing but lists and objects: it has tickets or columns, and is none."""
    return all(isinstance(value, list | dict) for value in values.values())


def _lines(raw: RawFile, encoding: Encoding, skipped: Skipped) -> Iterator[Record]:
    skipped.blank = 0
    # A line ends at \n alone: mails hold form feeds and U+2028, which end no line of JSON.
    with raw.text(encoding.codec, encoding.errors, "\n") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip("\ufeff \t\r\n"):
                skipped.blank += 1
                continue
            yield _record(line, text.lstrip("\ufeff"))


def _record(line: int, text: str) -> Record:
    if bad_bytes(text):
        return Record(line, {}, "not UTF-8; export anew as UTF-8")
    if len(text) > 4 * CELL_CHARACTERS and len(text) > CELL_CHARACTERS:
        return Record(line, {}, "over a million characters in one ticket; shorten it")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return Record(line, {}, "not valid JSON; each line must be one object")
    if not isinstance(parsed, dict):
        return Record(line, {}, "not a JSON object; each line must be one")
    return _checked(line, parsed)


def _checked(line: int, values: dict[str, Any]) -> Record:
    cells = plain_cells(values)
    for name, cell in cells.items():
        if len(cell) > CELL_CHARACTERS:
            return Record(line, {}, f"column {name[:40]!a} has over a million characters; shorten it")
    return Record(line, cells)


class _Utf8:
    """What ijson reads: UTF-8, and not nested deeply, for which its memory grows with the square of the depth."""

    def __init__(self, file: IO[bytes], encoding: Encoding) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder(encoding.codec)("replace").decode

    def read(self, size: int) -> bytes:
        if not size:  # ijson's first call, to see whether text or bytes come
            return b""
        found = self._file.read(max(size, 64))
        found = self._decode(found, final=not found).encode("utf-8", "replace")
        if _DEEP.search(found):
            raise ValueError
        return found


def _list_prefix(raw: RawFile, encoding: Encoding) -> str:
    """ijson's name of the first list of objects with a ticket's keys, or of the first list of objects, that is not
    inside a ticket; empty: the file is objects in turn."""
    first = ""
    try:
        with unpacking(raw.path), raw.open() as file:
            previous, depth = "", 0
            keys: dict[str, list[str]] = {"": []}
            events = ijson.parse(_Utf8(file, encoding), multiple_values=True)
            for prefix, event, value in islice(events, _MOST_EVENTS):
                if event == "start_map" and previous == "start_array" and prefix.endswith("item"):
                    if known_names(keys[""]) >= _TICKET_NAMES:
                        return ""
                    first = first or str(prefix)
                    keys[str(prefix)] = []
                if event == "map_key" and prefix in keys:
                    keys[prefix].append(value)
                if event == "end_map" and prefix and known_names(keys.get(prefix, [])) >= _TICKET_NAMES:
                    return str(prefix)
                depth += (event in ("start_map", "start_array")) - (event in ("end_map", "end_array"))
                previous = event
                if depth == 0 or depth > _DEEPEST_LIST:
                    break
    except (ijson.JSONError, RecursionError, ValueError) as error:
        raise TicketRouterError(f"{raw.path}: not valid JSON; give a list of objects, or one object a line") from error
    return first


def _items(raw: RawFile, encoding: Encoding, prefix: str) -> Iterator[Record]:
    row = 0
    with unpacking(raw.path), raw.open() as file:
        try:
            for row, values in enumerate(
                ijson.items(_Utf8(file, encoding), prefix, multiple_values=True, use_float=True), start=1
            ):
                if row == 1 and not prefix and isinstance(values, dict) and _only_holds(values):
                    raise TicketRouterError(
                        f"{raw.path}: one JSON object of columns or ids, not tickets; give a list of objects "
                        "(pandas: orient='records') or one object a line"
                    )
                if isinstance(values, dict):
                    yield _checked(row, values)
                else:
                    yield Record(row, {}, "not a JSON object")
        except (ijson.JSONError, RecursionError, ValueError) as error:
            raise TicketRouterError(f"{raw.path}: not valid JSON after row {row}; the file may be cut off") from error
