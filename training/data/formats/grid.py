"""Rows of cells → records: where the header stands, and what is no ticket. Shared by delimited text and workbooks."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from training.data.formats.table import CELL_CHARACTERS, Record, Skipped
from training.data.names import known_names

_TITLE_ROWS = 20
_FOOTER_ROWS = 3
_FOOTER_CELLS = 2

Row = tuple[int, Sequence[str], str]
"""Line, cells, and why they cannot be read (empty: they can)."""


def header_place(rows: Sequence[Sequence[str]]) -> int:
    """The index of the header among the first rows: titles, dates and blank rows may stand above it.

    It is the row with the most names that tickets have, at least two; otherwise the first row as wide as most rows.
    """
    top = rows[:_TITLE_ROWS]
    known = [known_names(cells) for cells in top]
    if known and max(known) >= 2:
        return known.index(max(known))
    widths = Counter(len(cells) for cells in rows if filled(cells))
    usual = widths.most_common(1)[0][0] if widths else 0
    return next((place for place, cells in enumerate(top) if len(cells) == usual and filled(cells)), 0)


def filled(cells: Iterable[str]) -> int:
    return sum(1 for cell in cells if cell.strip())


def header_names(cells: Sequence[str]) -> tuple[str, ...]:
    """The columns' names: one that stands twice gets a number, one without a name its place; an empty end is cut."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    found: dict[str, int] = {}
    unique: list[str] = []
    for place, name in enumerate(names, start=1):
        name = name or f"column {place}"
        found[name] = found.get(name, 0) + 1
        unique.append(name if found[name] == 1 else f"{name} ({found[name]})")
    return tuple(unique)


def twice_named(header: Sequence[str]) -> list[str]:
    return [name for name in header if f"{name} (2)" in header]


def grid_records(rows: Iterable[Row], header: tuple[str, ...], skipped: Skipped, unit: str) -> Iterator[Record]:
    """The rows below the header. A row of another width is a fault, but at the end of the file it is a footer."""
    skipped.blank, skipped.header, skipped.footer = 0, 0, ()
    odd: list[tuple[Record, int]] = []
    width = len(header)
    cause = "look for an unquoted separator or line break" if unit == "line" else "look for a merged or moved cell"
    for line, cells, fault in rows:
        if not fault and not filled(cells):
            skipped.blank += 1
            continue
        if fault or (len(cells) != width and (len(cells) < width or filled(cells[width:]))):
            why = fault or f"{len(cells)} cells, the header has {width}; {cause}"
            odd.append((Record(line, {}, why), 9 if fault else filled(cells)))
            continue
        if tuple(cell.strip() for cell in cells[:width]) == header:
            skipped.header += 1
            continue
        yield from (record for record, _ in odd)
        odd.clear()
        record = Record(line, dict(zip(header, cells, strict=False)))
        if max(map(len, cells)) > CELL_CHARACTERS:
            name = max(record.cells, key=lambda column: len(record.cells[column]))
            why = f"column {name[:40]!a} has over a million characters; look for an open quote"
            record = Record(line, {}, why)
        yield record
    if odd and len(odd) <= _FOOTER_ROWS and all(count <= _FOOTER_CELLS for _, count in odd) and width > _FOOTER_CELLS:
        skipped.footer = tuple(record.line for record, _ in odd)
    else:
        yield from (record for record, _ in odd)
