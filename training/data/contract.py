"""The data contract: the planned files' records → `Example`s, one by one, with every fault and every row left out.

`importing.plan` decides how the files are read; here each row is read and judged.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime, timedelta
from enum import Enum

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.label_source import LabelSource
from models.ticket import ContentType, Ticket
from training.data.example import Example
from training.data.formats.table import Record, Table
from training.data.importing.columns import DATES, SPLITS
from training.data.importing.plan import FilePlan, Plan, ReadOptions, make_plan
from training.data.importing.states import CLOSED, OPEN, UNKNOWN
from training.data.importing.traps import is_null, is_placeholder, label_traps, names_label, with_line_breaks
from training.data.labels import NO_RULES, LabelRules, one_spaced, spellings
from training.data.names import plain_name

LABEL_CHARACTERS = 100
MOST_FAULTS = 10_000
"""Faults that are kept word for word; the others are counted."""
_CONTENT_TYPES: Mapping[str, ContentType] = {"": "text/plain", "text/plain": "text/plain", "text/html": "text/html"}
SOURCES: Mapping[str, LabelSource | None] = {
    "": None,
    **{source.value: source for source in LabelSource},
    **dict.fromkeys(("router", "auto", "automatic", "model", "prediction", "predicted"), LabelSource.ROUTER_UNCHECKED),
}
"""Words of exports → sources."""
_OLDEST = timedelta(days=50 * 365)
_MOST_NAMED = 0.05
"""Subjects that name their label: below this share they are chance."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in one cell, or in one row if `column` is empty. `what` never repeats a cell's content."""

    line: int
    """Over all files: each file's numbers go on where the previous file's ended."""
    what: str
    column: str = ""
    """The column's name in the file."""
    where: str = ""
    """The place in words; empty: `line`, the number."""

    def __str__(self) -> str:
        # If the column's name equals the role's, `what` already contains it.
        named = not self.column or self.what.lower().startswith(self.column.lower())
        where = self.where or f"line {self.line}"
        return f"{where}{'' if named else f', column {self.column[:40]!a}'}: {self.what}"


class Fate(Enum):
    """Why a row is read, or left out before its cells are checked."""

    KEPT = "kept"
    OUTSIDE = "outside"
    NOT_CLOSED = "not closed"
    RETIRED = "retired"
    UNLABELLED = "without a department"


@dataclass(slots=True)
class _Tally:
    """Rows with one trait, and the first of them."""

    count: int = 0
    first: int = 0

    def add(self, line: int) -> None:
        self.count += 1
        self.first = self.first or line


class RowReader:
    """The rows of the planned files. Iterate once; afterwards it knows the faults and what was left out.

    `answers`: keep what was answered too."""

    def __init__(self, plan: Plan, rules: LabelRules = NO_RULES, *, answers: bool = False) -> None:
        self.plan = plan
        self.rules = rules
        self._answers = answers
        self.read = 0
        self.fates: Counter[Fate] = Counter()
        self.faults: list[Fault] = []
        self.faulty = 0
        """Rows with faults, also those beyond MOST_FAULTS."""
        self.leaked: Counter[str] = Counter()
        """Subjects that name their label, by label."""
        self._settled: dict[str, Counter[str]] = {field: Counter() for field in plan.fields}
        self._first: dict[str, dict[str, int]] = {field: {} for field in plan.fields}
        self._raw: dict[str, set[str]] = {field: set() for field in plan.fields}
        self._traits: dict[str, _Tally] = {}
        self._ids: dict[int, tuple[str, int]] = {}
        self._now = datetime.now(UTC)

    def __iter__(self) -> Iterator[Example]:
        """Each good row."""
        for file in self.plan.files:
            for record in file.table.records:
                self.read += 1
                example = self._example(file, record)
                if example is not None:
                    yield example
        if not self.fates[Fate.KEPT] and not self.fates[Fate.OUTSIDE] and not self.faulty:
            counts = ", ".join(f"{count} are {fate.value}" for fate, count in self.fates.items())
            column = self.plan.files[0].columns.get("status")
            hint = f"; --column status= if {column[:40]!a} is no ticket's status" if column else ""
            left_out = f"of its rows {counts}{hint}"
            raise TicketRouterError(f"{self.plan.files[0].table.path}: no row to learn from: {left_out}")
        # One fault for each spelling, at its first row: the network would learn two labels that mean the same.
        for field, found in self.aliases.items():
            settled, first = self._settled[field], self._first[field]
            for label, kept in found.items():
                what = (
                    f"{field} differs by case or blanks only from that of {self.plan.where(first[kept])} "
                    f"({settled[label]} rows against {settled[kept]}); merge them in the labels file"
                )
                column = self.plan.files[0].columns[field]
                self.faults.append(Fault(first[label], what, column, self.plan.where(first[label])))
        self.faults.sort(key=lambda fault: fault.line)

    @property
    def aliases(self) -> dict[str, dict[str, str]]:
        """By field: labels that differ from another label only by case or blanks → that label."""
        return {field: found for field, labels in self._settled.items() if (found := spellings(labels))}

    @property
    def label_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By field: the settled rows' labels."""
        return self._settled

    def notes(self) -> Iterator[str]:
        """What the reading took for granted, and traps: one line each, with the first row."""
        yield from self.plan.notes
        yield from self.rules.unused(self._raw)
        for trait, tally in self._traits.items():
            yield trait.format(tally.count, self.plan.where(tally.first))
        for field, counts in self._settled.items():
            yield from label_traps(field, counts)
        if self.leaked.total() > max(5, _MOST_NAMED * self.read):
            yield (
                f"subject: {self.leaked.total()} rows name their department in brackets, such as "
                f"[{self.leaked.most_common(1)[0][0]}]: the model would learn that instead of the words"
            )

    def _example(self, file: FilePlan, record: Record) -> Example | None:
        line = record.line + file.offset
        if record.fault:
            self._add_fault(line, record.fault)
            self.faulty += 1
            return None
        cells = {role: record.cells.get(choice.column, "") for role, choice in file.choices.items()}
        labels = {field: self._label(field, cells[field], line) for field in self.plan.fields}
        fate = self._fate(file, cells, labels[DEPARTMENT])
        if fate is not Fate.NOT_CLOSED:
            for field, label in labels.items():
                if label:
                    self._settled[field][label] += 1
                    self._first[field].setdefault(label, line)
        if fate not in (Fate.KEPT, Fate.OUTSIDE):
            self.fates[fate] += 1
            return None
        if faults := list(self._faults(cells, labels, line)):
            self.faulty += 1
            for role, what in faults:
                self._add_fault(line, what, file.choices[role].column)
            return None
        self.fates[fate] += 1
        return self._good_row(file, cells, labels, line, out_of_scope=fate is Fate.OUTSIDE)

    def _label(self, field: str, cell: str, line: int) -> str:
        """The label to learn: without placeholders and doubled blanks, after the aliases, paths cut."""
        label = one_spaced(cell)
        if label and len(self._raw[field]) < 10 * LABEL_CHARACTERS * LABEL_CHARACTERS:
            self._raw[field].add(label)
        if label != cell:
            self._see(f"{field}: {{}} rows have blanks too many, read without them (first: {{}})", line)
        aliases = self.rules.of(field).aliases
        if label in aliases:
            return aliases[label]
        if is_placeholder(label) and label not in self.rules.of(field).names():
            self._see(f"{field}: {{}} rows have a placeholder such as {label!r}, read as no label (first: {{}})", line)
            return ""
        if field in self.plan.paths:
            label = self.plan.paths[field].cut(label)
        return aliases.get(label, label)

    def _fate(self, file: FilePlan, cells: Mapping[str, str], department: str) -> Fate:
        """Leave out open tickets: their labels are not final, so not even a fault."""
        state = file.states.get(plain_name(cells["status"]), UNKNOWN) if cells.get("status", "").strip() else ""
        # Databases write 0000-00-00, NULL or - for no date.
        has_end = any(digit in "123456789" for digit in cells.get("closed_at", ""))
        if state == OPEN or (state != CLOSED and (not has_end if file.closes else state == UNKNOWN)):
            return Fate.NOT_CLOSED
        own = self.rules.of(DEPARTMENT)
        if department in own.retire:
            return Fate.RETIRED
        if department in own.out_of_scope:
            return Fate.OUTSIDE
        return Fate.KEPT if department else Fate.UNLABELLED

    def _faults(self, cells: Mapping[str, str], labels: Mapping[str, str], line: int) -> Iterator[tuple[str, str]]:
        for field, label in labels.items():
            if len(label) > LABEL_CHARACTERS:
                yield field, f"a label has over {LABEL_CHARACTERS} characters; is the column the right one?"
        if cells.get("split", "").strip().lower() not in SPLITS:
            yield "split", "split is none of train, validation, calibration, test"
        if cells.get("label_source", "").strip().casefold() not in SOURCES:
            yield "label_source", f"label_source is none of {', '.join(LabelSource)}; leave it empty"
        name = cells.get("id", "").strip()
        if name and hash(name) in self.plan.repeated and not is_placeholder(name):
            first = self._ids.setdefault(hash(name), (labels[DEPARTMENT], line))
            if first[0] != labels[DEPARTMENT]:
                where = self.plan.where(first[1])
                yield "id", f"id is that of {where} too, which has another label; keep the right one"

    def _good_row(
        self, file: FilePlan, cells: Mapping[str, str], labels: Mapping[str, str], line: int, *, out_of_scope: bool
    ) -> Example:
        media = cells.get("content_type", "").partition(";")[0].strip().lower()
        if media not in _CONTENT_TYPES:
            self._see("content_type: {} rows have neither text/plain nor text/html, read as plain (first: {})", line)
        subject, body = (self._text(role, cells.get(role, ""), line) for role in ("subject", "body"))
        if labels[DEPARTMENT] and names_label(subject, labels[DEPARTMENT]):
            self.leaked[labels[DEPARTMENT]] += 1
        ticket = Ticket(
            subject=subject,
            body=body,
            content_type=_CONTENT_TYPES.get(media, "text/plain"),
            id=cells.get("id") or None,
            sender=cells.get("requester", ""),
        )
        # Of the department only out-of-scope labels are left here: rows of retired ones are already removed.
        learned: dict[str, str | None] = {}
        for field, label in labels.items():
            own = self.rules.of(field)
            learned[field] = None if not label or label in own.retire or label in own.out_of_scope else label
        thread, language, source = (cells.get(role, "").strip() for role in ("thread", "language", "label_source"))
        split = SPLITS[cells.get("split", "").strip().lower()]
        created = self._date(file, cells, line)
        return Example(
            line=line,
            ticket=ticket,
            labels=learned,
            split=split,
            created_at=created,
            thread=thread,
            language=language.lower(),
            label_source=SOURCES[source.casefold()],
            out_of_scope=out_of_scope,
            answer=self._text("answer", cells.get("answer", ""), line) if self._answers else "",
        )

    def _text(self, role: str, cell: str, line: int) -> str:
        if is_null(cell):
            self._see(
                f"{role}: {{}} rows have a program's word for nothing, such as nan, read as empty (first: {{}})", line
            )
            return ""
        text = with_line_breaks(cell)
        if text is not cell:
            self._see(f"{role}: {{}} rows have \\n in letters, read as line breaks (first: {{}})", line)
        return text

    def _date(self, file: FilePlan, cells: Mapping[str, str], line: int) -> datetime | None:
        """The time of arrival. A date that cannot be is told and left out: the ticket is good without it."""
        moments = {role: file.dates[role].read(cells[role]) for role in DATES if role in file.dates}
        created = moments.get("created_at")
        if created is None:
            return None
        if created.fault:
            self._see(f"{created.fault}: {{}} rows, read without a date (first: {{}})", line)
        at = created.at
        if at is not None and (at > self._now + timedelta(days=1) or at < self._now - _OLDEST):
            self._see(
                "created_at: {} rows lie in the future or over fifty years back, read without it (first: {})", line
            )
            return None
        closed = moments["closed_at"].at if "closed_at" in moments else None
        # Export tools may write a date without a time: it reads as midnight, so it may precede the arrival.
        if at and closed and closed < at - timedelta(days=1):
            self._see("closed_at lies before created_at in {} rows (first: {})", line)
        return at

    def _see(self, trait: str, line: int) -> None:
        tally = self._traits.get(trait)
        if tally is None:
            # One line for all placeholders of a field: the first one is the example.
            kind = trait.split(" such as ")[0]
            known = next((name for name in self._traits if name.split(" such as ")[0] == kind), None)
            tally = self._traits.setdefault(known or trait, _Tally())
        tally.add(line)

    def _add_fault(self, line: int, what: str, column: str = "") -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(line, what, column, self.plan.where(line)))


@dataclass(frozen=True, slots=True)
class Checked:
    """All files, checked: the good rows, the faults of the others, and the rows left out before the check."""

    columns: Mapping[str, str]
    rows: tuple[Example, ...]
    faults: tuple[Fault, ...]
    outside: tuple[Example, ...] = ()
    """Good rows whose label is out of scope."""
    not_closed: int = 0
    retired: int = 0
    unlabelled: int = 0
    """Rows without a department, or with a placeholder for one."""
    faulty: int = 0
    aliases: Mapping[str, Mapping[str, str]] = dataclass_field(default_factory=dict)
    """By field: labels that differ from another label only by case or blanks → that label."""
    notes: tuple[str, ...] = ()
    """What the reading took for granted, and traps."""


def check_tables(
    tables: Sequence[Table],
    fields: Sequence[str],
    options: ReadOptions | None = None,
    rules: LabelRules = NO_RULES,
    optional: Sequence[str] = (),
) -> Checked:
    """Check every row against the contract, and keep the good ones. Arguments and errors as in `make_plan`.

    Raises:
        TicketRouterError: also if no row is closed and checked.
    """
    reader = RowReader(make_plan(tables, fields, options or ReadOptions(), optional), rules)
    rows: list[Example] = []
    outside: list[Example] = []
    for example in reader:
        (outside if example.out_of_scope else rows).append(example)
    return Checked(
        columns=reader.plan.files[0].columns,
        rows=tuple(rows),
        faults=tuple(reader.faults),
        outside=tuple(outside),
        not_closed=reader.fates[Fate.NOT_CLOSED],
        retired=reader.fates[Fate.RETIRED],
        unlabelled=reader.fates[Fate.UNLABELLED],
        faulty=reader.faulty,
        aliases=reader.aliases,
        notes=tuple(reader.notes()),
    )


def label_counts(rows: Iterable[Example], field: str) -> Counter[str]:
    return Counter(label for row in rows if (label := row.labels[field]) is not None)
