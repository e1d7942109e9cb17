"""What every format gives: records, which are dicts of text by column name, read again at each iteration."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CELL_CHARACTERS = 1_000_000
"""A longer cell is a fault of the export, mostly an unclosed quote, not an e-mail."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the file: its place (line, row or mail number) and its cells, all text; or why it cannot be read."""

    line: int
    cells: dict[str, str]
    fault: str = ""


@dataclass(slots=True)
class Skipped:
    """What the last iteration left out, by reason, with the first place; none of it is a ticket."""

    blank: int = 0
    header: int = 0
    """Rows that repeat the header, as joined exports have."""
    footer: tuple[int, ...] = ()

    def notes(self) -> Iterator[str]:
        if self.blank:
            yield f"blank rows: {self.blank}, skipped"
        if self.header:
            yield f"rows that repeat the header: {self.header}, skipped"
        if self.footer:
            yield f"the last {len(self.footer)} row(s), from line {self.footer[0]}, are the report's footer: skipped"


@dataclass(frozen=True, slots=True)
class Table:
    """A file's columns as far as its head tells, and its records."""

    path: Path
    columns: tuple[str, ...]
    records: Iterable[Record]
    notes: tuple[str, ...] = ()
    """What the reading took for granted, one line each."""
    unit: str = "line"
    skipped: Skipped = field(default_factory=Skipped)


@dataclass(frozen=True, slots=True)
class Rereadable:
    """Records that are read from the file at each iteration, so that no file has to fit into memory."""

    read: Callable[[], Iterator[Record]]

    def __iter__(self) -> Iterator[Record]:
        return self.read()


@dataclass(frozen=True, slots=True)
class Watched:
    """Records that report how many of them have been read, every few thousand."""

    records: Iterable[Record]
    watch: Callable[[int], None]

    def __iter__(self) -> Iterator[Record]:
        for number, record in enumerate(self.records, start=1):
            if number % 5_000 == 0:
                self.watch(number)
            yield record


def sound(text: str) -> str:
    """Half a surrogate pair (an emoji cut in two) cannot be encoded as UTF-8: it becomes the replacement character."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
