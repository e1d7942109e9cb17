"""One pass over a file: what each column holds. Every later choice (roles, dates, states, labels) rests on it."""

import shlex
from array import array
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from models.errors import TicketRouterError
from training.data.formats.table import Table
from training.data.importing.dates import DateEvidence
from training.data.importing.traps import is_placeholder
from training.data.names import columns_named

_MOST_VALUES = 2_000
_LONGEST_VALUE = 200
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 60
_MOST_LABELS = 1_000
_MOST_COLUMNS = 2_000


@dataclass(slots=True)
class ColumnProfile:
    """A column: how many cells are filled, its values with their counts (None: too many), the first few, its dates."""

    name: str
    filled: int = 0
    characters: int = 0
    values: Counter[str] | None = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    dates: DateEvidence | None = None
    hashes: "array[int] | None" = None
    """Of an id's cells, to find the ids that come again without holding all of them."""

    def see(self, cell: str, line: int) -> None:
        if not cell or cell.isspace():
            return
        self.filled += 1
        self.characters += len(cell)
        if self.values is not None:
            if len(cell) > _LONGEST_VALUE and self.filled > 50 and len(self.values) > self.filled // 2:
                self.values = None
            else:
                self.values[cell] += 1
                if len(self.values) > _MOST_VALUES:
                    self.values = None
        if (
            len(self.examples) < _EXAMPLES
            and (short := " ".join(cell.split())[:_EXAMPLE_CHARACTERS]) not in self.examples
        ):
            self.examples.append(short)
        if self.dates is not None:
            self.dates.see(cell, line)
        if self.hashes is not None:
            self.hashes.append(hash(cell.strip()))

    @property
    def labels(self) -> Counter[str]:
        """The values that could be labels, without placeholders."""
        counts: Counter[str] = Counter()
        for value, count in (self.values or {}).items():
            if not is_placeholder(value):
                counts[" ".join(value.split())] += count
        return counts

    def is_label_like(self) -> bool:
        """Few values, most of which come again."""
        labels = self.labels
        return 2 <= len(labels) <= _MOST_LABELS and labels.total() >= 2 * len(labels)


@dataclass(frozen=True, slots=True)
class Survey:
    """A file's rows, the broken ones among them, the number of the last, and its columns in their order."""

    table: Table
    rows: int
    broken: int
    last: int
    profiles: dict[str, ColumnProfile]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.profiles)


def survey(table: Table, dated: Collection[str] = (), ids: Collection[str] = ()) -> Survey:
    """
    Args:
        table: the file.
        dated: columns mapped to a date; those with a date's name are looked at anyway.
        ids: columns mapped to the id, likewise.

    Raises:
        TicketRouterError: the file has no rows, or cannot be read to its end.
    """
    profiles: dict[str, ColumnProfile] = {}

    def profile(name: str) -> ColumnProfile:
        if len(profiles) >= _MOST_COLUMNS:
            raise TicketRouterError(f"{table.path}: over {_MOST_COLUMNS} columns; export fewer")
        is_date = name in dated or columns_named("created_at", [name]) or columns_named("closed_at", [name])
        is_id = name in ids or columns_named("id", [name])
        profiles[name] = ColumnProfile(
            name, dates=DateEvidence() if is_date else None, hashes=array("q") if is_id else None
        )
        return profiles[name]

    for column in table.columns:
        profile(column)
    rows = broken = last = 0
    fault = ""
    for record in table.records:
        last = record.line
        if record.fault:
            broken += 1
            fault = fault or f"{table.unit} {record.line}: {record.fault}"
            continue
        rows += 1
        for name, cell in record.cells.items():
            (profiles.get(name) or profile(name)).see(cell, record.line)
    if not rows:
        raise TicketRouterError(f"{table.path}: {fault or 'has no rows'}")
    return Survey(table, rows, broken, last, profiles)


def typed(text: str) -> str:
    """A column or value as it is typed into a command line; control characters are escaped."""
    return shlex.quote(repr(text[:60])[1:-1])


def value_shares(profiles: Sequence[ColumnProfile]) -> str:
    """The columns with their most frequent values, for a question to the user."""
    shown = {profile.name: [value for value, _ in profile.labels.most_common(_EXAMPLES)] for profile in profiles}
    return " and ".join(
        f"{name[:40]!r} ({', '.join(repr(value[:30])[1:-1] for value in values)})" for name, values in shown.items()
    )
