"""How the files are read, decided before their rows are: columns, dates, states, and labels that are paths."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.formats.table import Table
from training.data.importing.columns import DATES, Choice, find_columns, unknown_states
from training.data.importing.dates import DAY_FIRST, MONTH_FIRST, DateReader, checked_format, date_reader
from training.data.importing.states import CLOSED, states_of
from training.data.importing.survey import Survey, survey, typed
from training.data.importing.traps import Paths, paths_of
from training.data.names import columns_named, plain_name

_NAMED = 8


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the user says about the reading, by options or a mapping file."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Role → column; empty: the role is not used."""
    date_format: str | None = None
    closed: tuple[str, ...] = ()
    label_level: int | None = None
    remembered: Mapping[str, str] = field(default_factory=dict)
    """Like `columns`, from last month's export: a column that is gone is a note, not an error, unless it is learned."""


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file's reading. `offset` is added to its line numbers, so that every row of several files has its own."""

    table: Table
    found: Survey
    choices: Mapping[str, Choice]
    dates: Mapping[str, DateReader]
    states: Mapping[str, str]
    closes: bool
    offset: int = 0

    @property
    def columns(self) -> dict[str, str]:
        return {role: choice.column for role, choice in self.choices.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """The reading of all files together."""

    files: tuple[FilePlan, ...]
    fields: tuple[str, ...]
    paths: Mapping[str, Paths]
    notes: tuple[str, ...]
    repeated: frozenset[int] = frozenset()
    """Hashes of the ids that stand in more than one row."""

    def where(self, line: int) -> str:
        """A row's place in words: `line 7`, or `b.csv line 7` if there are several files."""
        own = next(file for file in reversed(self.files) if line > file.offset or file is self.files[0])
        place = f"{own.table.unit} {line - own.offset}"
        return place if len(self.files) == 1 else f"{own.table.path.name} {place}"


def make_plan(
    tables: Sequence[Table], fields: Sequence[str], options: ReadOptions, optional: Sequence[str] = ()
) -> Plan:
    """
    Args:
        tables: the files.
        fields: the fields that each must have, `department` first.
        optional: fields that are read too if every file has a column for them.
        options: what the user says.

    Raises:
        TicketRouterError: a needed column is missing or two could be it, day and month cannot be told apart, the date
            format is not valid, or no state is known as closed.
    """
    checked_format(options.date_format)
    mapped = [*options.columns.items(), *options.remembered.items()]
    dated = [column for role, column in mapped if role in DATES and column]
    ids = [column for role, column in mapped if role == "id" and column]
    surveys = [survey(table, dated, ids) for table in tables]
    there = [name for name in optional if all(_has(found, name, options) for found in surveys)]
    wanted = tuple(dict.fromkeys((*fields, *there)))
    files: list[FilePlan] = []
    notes: list[str] = []
    offset = 0
    for found in surveys:
        file, own = _file_plan(found, wanted, options, offset)
        files.append(file)
        named = f"{found.table.path.name}: " if len(surveys) > 1 else ""
        notes += [f"{named}{note}" for note in (*found.table.notes, *found.table.skipped.notes(), *own)]
        offset += found.last
    paths: dict[str, Paths] = {}
    for name in wanted:
        counts: Counter[str] = Counter()
        for file in files:
            counts.update(file.found.profiles[file.choices[name].column].labels)
        cut = paths_of(counts, options.label_level if name == DEPARTMENT else 0)
        if cut is None:
            continue
        paths[name] = cut
        if name == DEPARTMENT:
            taken = len({cut.cut(label) for label in counts})
            example = next(label for label in counts if cut.separator in label)
            how = f"kept whole, {taken} labels; --label-level 1 keeps the first level only"
            if cut.level:
                how = f"cut to {cut.level} level(s), {taken} labels; --label-level 0 keeps them whole"
            notes.append(f"{name}: the labels are paths, such as {example[:50]!r}: {how}")
    return Plan(tuple(files), wanted, paths, tuple(notes), _repeated_ids(files))


def _repeated_ids(files: Sequence[FilePlan]) -> frozenset[int]:
    columns = [file.found.profiles[file.columns["id"]].hashes for file in files if "id" in file.choices]
    hashes = [np.frombuffer(column, dtype=np.int64) for column in columns if column]
    if not hashes:
        return frozenset()
    values, counts = np.unique(np.concatenate(hashes), return_counts=True)
    return frozenset(values[counts > 1].tolist())


def _has(found: Survey, name: str, options: ReadOptions) -> bool:
    return (
        bool(options.columns.get(name))
        or options.remembered.get(name) in found.profiles
        or bool(columns_named(name, found.columns))
    )


def _file_plan(found: Survey, fields: Sequence[str], options: ReadOptions, offset: int) -> tuple[FilePlan, list[str]]:
    remembered, gone = {}, []
    for role, column in options.remembered.items():
        if not column or column in found.profiles or role in (*fields, "subject", "body"):
            remembered[role] = column
        elif role not in options.columns:
            gone.append(f"column {column[:40]!a} (for {role}), which the mapping names, is gone")
    mapping = {**remembered, **options.columns}
    choices, notes = find_columns(found, fields, mapping, options.closed)
    notes += gone
    nested = [
        column for column in found.columns if "." in column and column.partition(".")[0] not in found.table.columns
    ]
    if nested and not found.table.columns:
        notes.append(f"nested values are read by their path, such as {nested[0][:40]!a}")
    dates = {}
    for role in DATES:
        if role not in choices:
            continue
        evidence = found.profiles[choices[role].column].dates
        assert evidence is not None
        reader = date_reader(evidence, role, options.date_format)
        if reader is None and role == "created_at":
            assert evidence.first_open is not None
            line, cell = evidence.first_open
            raise TicketRouterError(
                f"{found.table.path}: column {choices[role].column[:40]!a}: does day or month stand first in "
                f"{cell[:30]!a} ({found.table.unit} {line})? say --date-format {DAY_FIRST} or --date-format "
                f"{MONTH_FIRST} (or --column created_at= to do without dates)"
            )
        # Whether a ticket is closed shows without reading the day.
        dates[role] = reader or DateReader(role)
        if len(evidence.forms) > 1 and not options.date_format:
            forms = ", ".join(f"{form} {count}" for form, count in evidence.forms.most_common(4))
            notes.append(f"{role} is written in {len(evidence.forms)} forms ({forms}), each read as it stands")
    states = states_of(found.columns, options.closed)
    closes = "closed_at" in choices and found.profiles[choices["closed_at"].column].filled > 0
    if "status" in choices:
        notes += _state_notes(found, choices["status"].column, states, closes)
    return FilePlan(found.table, found, choices, dates, states, closes, offset), notes


def _state_notes(found: Survey, column: str, states: Mapping[str, str], closes: bool) -> Iterator[str]:
    profile = found.profiles[column]
    unknown = dict(sorted(unknown_states(profile, states), key=lambda item: -item[1]))
    if not unknown:
        return
    named = ", ".join(f"{value[:30]!a} ({count})" for value, count in list(unknown.items())[:_NAMED])
    first = typed(next(iter(unknown)))
    is_any_closed = any(states.get(plain_name(value)) == CLOSED for value in profile.values or {})
    if not is_any_closed and not closes and len(unknown) == len(profile.values or {}):
        raise TicketRouterError(
            f"{found.table.path}: column {column[:40]!a} has no state that is known as closed: {named}; say which is "
            f"with --closed {first}, or --column status= if it is no ticket's state"
        )
    told = "taken by their closing date" if closes else "not learned from"
    yield f"unknown states in {column[:40]!a}, {told}: {named}; if one means closed: --closed {first}"
