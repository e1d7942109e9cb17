"""`training check`: validates files against the data contract, and says whether their rows are enough, and for what."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.label_source import LabelSource
from models.text.prepare import prepare
from training.data.contract import Fate, RowReader
from training.data.draw import unchecked_advice
from training.data.importing.mapping import MappingFile, Seen, compared, save_mapping, seen_now
from training.data.importing.plan import Plan
from training.data.importing.traps import ENOUGH_ROWS
from training.data.labels import alias_lines
from training.data.mail_noise import common_word_language
from training.data.minhash import near_copies
from training.data.prepared import LENGTHS
from training.data.source import TicketFile, open_tickets
from training.data.tally import SOURCE, Tally
from training.forecast.routing import Forecast, forecast, missing
from training.recipe import Recipe

_NAMED = 8
"""One sentence names at most this many labels or lines."""
_LISTED = 50
"""Entries of a list for people."""
_MISREAD = re.compile("\ufffd|\u00c3[\u0080-\u00bf\u0178\u0152\u0153\u0160\u2013\u201e\u2030]|\u00e2\u20ac")
_EXCERPT = 160
_LANGUAGE_TEXTS = 2_000
_WORDS_TO_TELL = 3


class FaultEntry(Frozen):
    """A fault in one cell of the file's column `column`; `text` is a complete sentence."""

    line: int
    column: str
    what: str
    text: str


class LeftOut(Frozen):
    """Rows that training leaves out, by reason."""

    not_closed: int
    unlabelled: int
    retired: int
    out_of_scope: int
    empty: int
    duplicates: int


class FieldCounts(Frozen):
    """A field's labels with their row counts, most frequent first; `scarce`: labels with fewer than ENOUGH_ROWS."""

    name: str
    counts: Mapping[str, int]
    scarce: tuple[str, ...]
    missing: int
    """Rows that have no label of this field."""


class RoleEntry(Frozen):
    """A role, the column that plays it, why, and three of its values."""

    role: str
    column: str
    why: str
    examples: tuple[str, ...]


class RowEntry(Frozen):
    """A row for people to look at: its place, its labels, and the beginning of its text."""

    where: str
    label: str
    excerpt: str
    suggested: str = ""


class Readiness(Frozen):
    """The result of a check: what a person needs to know before training on the files."""

    file: str
    files: tuple[str, ...]
    rows: int
    columns: Mapping[str, str]
    roles: tuple[RoleEntry, ...]
    faults: tuple[FaultEntry, ...]
    faulty: int
    """Rows with faults, listed or not."""
    left_out: LeftOut
    empty_lines: tuple[int, ...]
    """The first lines of rows without text after cleaning."""
    fields: tuple[FieldCounts, ...]
    slices: Mapping[str, Mapping[str, int]]
    """Rows by month, language and length, if the file has these columns."""
    by_month: Mapping[str, Mapping[str, int]]
    """By department: rows by month."""
    contradicting: int
    """Rows whose text stands under several departments."""
    contradictions: tuple[tuple[RowEntry, ...], ...]
    near_copies: int
    copies: tuple[tuple[RowEntry, ...], ...]
    suspects: tuple[RowEntry, ...]
    sampled: int
    """Rows that near copies and the forecast rest on, if they are a sample; 0: all."""
    forecast: Forecast | None
    seen: Seen
    """What a mapping keeps of this export."""
    changes: tuple[str, ...]
    """Against the mapping's last export."""
    ready: bool
    verdict: str
    notes: tuple[str, ...]
    """What the reading took for granted."""
    advice: tuple[str, ...]


Watch = Callable[[str, int], None]
"""Called with a stage and the rows that it has seen."""


def assess(
    file: TicketFile,
    fields: tuple[str, ...],
    mapping: MappingFile | None = None,
    watch: Watch | None = None,
    *,
    look_ahead: bool = True,
) -> Readiness:
    """Read the files and report their faults. Arguments and errors as in `read_tickets`.

    Args:
        file: the files.
        fields: the fields to learn.
        mapping: last month's, to compare with.
        watch: is told of the progress.
        look_ahead: also forecast, and look for near copies.
    """
    recipe = Recipe()
    reader = open_tickets(file, fields, watch=watch and (lambda rows: watch("columns", rows)))
    tally = Tally(fields, recipe.seed)
    empty: list[int] = []
    emptied = outside = 0
    for number, example in enumerate(reader, start=1):
        if watch and number % 2000 == 0:
            watch("tickets", number)
        if example.out_of_scope:
            outside += 1
            continue
        text = prepare(example.ticket).text
        if not text:
            emptied += 1
            if len(empty) < _LISTED:
                empty.append(example.line)
            continue
        for column, cell in (("subject", example.ticket.subject), ("body", example.ticket.body)):
            if not cell.isascii() and _MISREAD.search(cell):
                tally.misread[column].append(example.line)
        tally.add(example, text)
    distinct = int(tally.distinct.sum())
    by_field = {field: tally.counts(field, tally.distinct) for field in fields}
    counts = tuple(
        FieldCounts(
            name=field,
            counts=dict(labels),
            scarce=tuple(label for label, number in labels.items() if number < ENOUGH_ROWS),
            missing=distinct - labels.total(),
        )
        for field, labels in by_field.items()
    )
    refusal = _refusal(reader, counts, file.skip_faulty)
    ahead = _Ahead(tally, recipe, reader.plan, watch) if look_ahead and len(tally) else None
    groups = tally.contradictions(DEPARTMENT)
    seen = seen_now(reader.plan, {field.name: field.counts for field in counts})
    first = reader.plan.files[0]
    departments = tally.numbers(DEPARTMENT)
    by_month = {
        label: _month_counts(tally.dates[tally.distinct & (departments == number)])
        for label, number in tally.names[DEPARTMENT].items()
    }
    return Readiness(
        file=str(file.path),
        files=tuple(str(path) for path in file.tables),
        rows=reader.read,
        columns=first.columns,
        roles=tuple(
            RoleEntry(
                role=role,
                column=choice.column,
                why=choice.why,
                examples=tuple(first.found.profiles[choice.column].examples),
            )
            for role, choice in first.choices.items()
        ),
        faults=tuple(FaultEntry(line=f.line, column=f.column, what=f.what, text=str(f)) for f in reader.faults),
        faulty=reader.faulty,
        left_out=LeftOut(
            not_closed=reader.fates[Fate.NOT_CLOSED],
            unlabelled=reader.fates[Fate.UNLABELLED],
            retired=reader.fates[Fate.RETIRED],
            out_of_scope=outside,
            empty=emptied,
            duplicates=len(tally) - distinct,
        ),
        empty_lines=tuple(empty),
        fields=counts,
        slices=_slices(tally),
        by_month={label: months for label, months in by_month.items() if months},
        contradicting=sum(map(len, groups)),
        contradictions=tuple(
            _row_entries(tally, reader.plan, group[:4])
            for group in sorted(groups, key=lambda group: -len(group))[:_LISTED]
        ),
        near_copies=ahead.near_copies if ahead else 0,
        copies=ahead.copies if ahead else (),
        suspects=ahead.suspects if ahead else (),
        sampled=len(tally.sample) if tally.is_sampled else 0,
        forecast=ahead.forecast if ahead else None,
        seen=seen,
        changes=tuple(compared(mapping.seen, seen)) if mapping and mapping.seen else (),
        ready=refusal is None,
        verdict=refusal or "enough to start: " + "; ".join(map(_enough, counts)),
        notes=tuple(reader.notes()),
        advice=tuple(_advice(reader, tally, counts, recipe, groups, ahead.forecast if ahead else None)),
    )


class _Ahead:
    """What the sample tells: near copies, the forecast, and labels that look wrong."""

    def __init__(self, tally: Tally, recipe: Recipe, plan: Plan, watch: Watch | None) -> None:
        sample = [(place, text) for place, text in tally.sample if tally.distinct[place]]
        places, texts = [place for place, _ in sample], [text for _, text in sample]
        if watch:
            watch("near copies", 0)
        groups = near_copies(texts, recipe.data.near_duplicates)
        self.near_copies = sum(map(len, groups))
        listed = [np.array([places[index] for index in group[:4]]) for group in groups[:_LISTED]]
        self.copies = tuple(_row_entries(tally, plan, group) for group in listed)
        if watch:
            watch("forecast", 0)
        numbers, names = tally.numbers(DEPARTMENT), list(tally.names[DEPARTMENT])
        labels = [names[numbers[place]] for place in places]
        self.forecast, suspicious = forecast(texts, labels, recipe, int(tally.distinct.sum()))
        entries = _row_entries(tally, plan, np.array([places[found.row] for found in suspicious], dtype=np.int64))
        self.suspects = tuple(
            entry.model_copy(update={"suggested": found.suggested})
            for entry, found in zip(entries, suspicious, strict=True)
        )


def _row_entries(tally: Tally, plan: Plan, places: NDArray[np.int64]) -> tuple[RowEntry, ...]:
    texts = tally.texts
    names, numbers = list(tally.names[DEPARTMENT]), tally.numbers(DEPARTMENT)
    return tuple(
        RowEntry(
            where=plan.where(int(tally.lines[place])),
            label=names[numbers[place]],
            excerpt=" ".join(texts.get(int(place), "").split())[:_EXCERPT],
        )
        for place in places
    )


def _slices(tally: Tally) -> dict[str, dict[str, int]]:
    rows = tally.distinct
    lengths = np.bincount(tally.lengths[rows], minlength=len(LENGTHS))
    languages = dict(sorted(tally.counts("language", rows).items()))
    if not languages:
        # Without a column: shares of the known languages among some texts, by their common words, as rows of the file.
        texts = [text for _, text in tally.sample[:_LANGUAGE_TEXTS]]
        guesses = Counter(
            name if hits >= _WORDS_TO_TELL else "other or too short" for name, hits in map(common_word_language, texts)
        )
        of_all = int(rows.sum())
        languages = {f"{name} (guessed)": round(count / len(texts) * of_all) for name, count in guesses.items()}
    slices = {
        "month": _month_counts(tally.dates[rows]),
        "language": languages,
        "label source": tally.counts(SOURCE, rows),
        "length": {name: int(count) for name, count in zip(LENGTHS, lengths, strict=True) if count},
    }
    return {kind: dict(sorted(counts.items())) for kind, counts in slices.items() if counts}


def _month_counts(dates: NDArray[np.float64]) -> dict[str, int]:
    months = dates[~np.isnan(dates)].astype("datetime64[s]").astype("datetime64[M]")
    return {str(month): int(count) for month, count in zip(*np.unique(months, return_counts=True), strict=True)}


def _refusal(reader: RowReader, counts: Sequence[FieldCounts], skip_faulty: bool) -> str | None:
    """The reason why training would fail or be pointless; None: training may start."""
    spellings = bool(reader.aliases)
    if (reader.faulty and not skip_faulty) or spellings:
        broken = max(reader.faulty, len({fault.line for fault in reader.faults}))
        skip = "" if spellings else ", or leave them out with --skip-faulty"
        return f"not ready: rows that break the contract: {broken}; mend or remove them{skip}"
    for field in counts:
        if len(field.counts) < 2:
            return f"not ready: {field.name} has {len(field.counts)} label(s); it needs at least two"
        if len(field.counts) - len(field.scarce) < 2:
            return f"not ready: fewer than two {_noun(field)} have {ENOUGH_ROWS} tickets"
    return None


def _enough(field: FieldCounts) -> str:
    """E.g. `6 of 8 departments; billing needs 12 more, sales needs 3 more`."""
    needs = [f"{label} needs {ENOUGH_ROWS - field.counts[label]} more" for label in field.scarce]
    summary = f"{len(field.counts) - len(field.scarce)} of {len(field.counts)} {_noun(field)}"
    if len(needs) > _NAMED:
        needs[_NAMED:] = [f"{len(needs) - _NAMED} others more still"]
    return f"{summary}; {', '.join(needs)}" if needs else summary


def _noun(field: FieldCounts) -> str:
    return "departments" if field.name == DEPARTMENT else f"labels of {field.name}"


def _advice(
    reader: RowReader,
    tally: Tally,
    counts: Sequence[FieldCounts],
    recipe: Recipe,
    groups: Sequence[NDArray[np.int64]],
    ahead: Forecast | None,
) -> Iterator[str]:
    """What a person can do about the faults, and what is no fault but will lower the figures."""
    for field, aliases in reader.aliases.items():
        yield f"{field}: if these labels are one, put this into a file and give it as --labels:"
        yield from alias_lines(field, aliases).splitlines()
    if groups:
        first = [reader.plan.where(int(line)) for line in tally.lines[groups[0][:2]]]
        yield (
            f"the same text under several departments: {len(groups)} texts in {sum(map(len, groups))} rows (such as "
            f"{' and '.join(first)}); the first row of each is kept, data.contradictions in the recipe says otherwise"
        )
    for counted in counts:
        yield from _rare_labels(reader, tally, counted, recipe.data.minimum_rows)
        yield from _untested_labels(reader, tally, counted, recipe.split.test)
    for column, lines in tally.misread.items():
        if lines:
            places = _named([reader.plan.where(line) for line in lines])
            yield f"{column}: signs of a wrong encoding ('Ã¼' for 'ü'): {places}; if many, export anew as UTF-8"
    yield from unchecked_advice(tally.counts(SOURCE, tally.distinct)[LabelSource.ROUTER_UNCHECKED], len(tally))
    for routed in ahead.routed if ahead else ():
        if routed.nothing < 0.5:
            continue
        more = missing(routed.needed, int(tally.distinct.sum()))
        if more is None:
            yield (
                f"at a promise of {routed.target:.0%} more tickets alone may not do: the departments overlap; "
                "merge those that are confused, or leave some to people"
            )
        elif more:
            yield (
                f"at a promise of {routed.target:.0%} about {more:,} more tickets are needed before routing is likely "
                "(80 %); until then expect suggestions"
            )


def _rare_labels(reader: RowReader, tally: Tally, field: FieldCounts, minimum: int) -> Iterator[str]:
    once = [label for label, number in field.counts.items() if number == 1]
    if once:
        numbers = tally.numbers(field.name)
        known = tally.names[field.name]
        lines = {label: int(tally.lines[(numbers == known[label]) & tally.distinct][0]) for label in once[:_NAMED]}
        named = [
            f"{label} ({reader.plan.where(lines[label])})" for label in sorted(lines, key=lambda each: lines[each])
        ]
        more = f" and {len(once) - _NAMED} more" if len(once) > _NAMED else ""
        told = f"{field.name}: seen once: {', '.join(named)}{more}"
        yield f"{told}; a slip? mend it, or give it an alias in the labels file"
    rare = [label for label, number in field.counts.items() if 1 < number < minimum]
    if once or rare:
        yield f"{field.name}: not learned, as under {minimum} rows: {_named([*rare, *sorted(once)])}"


def _untested_labels(reader: RowReader, tally: Tally, field: FieldCounts, share: float) -> Iterator[str]:
    """Labels without test rows, or with test rows only."""
    tested, where = _test_rows(tally, share)
    if not tested.any():
        return
    inside, outside = tally.counts(field.name, tested), tally.counts(field.name, tally.distinct & ~tested)
    if missing_labels := [label for label in outside if not inside[label]]:
        named = _last_lines(reader, tally, field.name, missing_labels, "last in ")
        yield f"{field.name}: no row in {where}, so not measured there: {named}"
    if new := [label for label in inside if not outside[label]]:
        named = _last_lines(reader, tally, field.name, new, "")
        yield f"{field.name}: rows in {where} alone, so never learned: {named}"


def _last_lines(reader: RowReader, tally: Tally, name: str, labels: Sequence[str], word: str) -> str:
    numbers, known = tally.numbers(name), tally.names[name]
    dates = np.nan_to_num(tally.dates)
    named = []
    for label in labels[:_NAMED]:
        places = np.flatnonzero((numbers == known[label]) & tally.distinct)
        last = places[np.lexsort((places, dates[places]))[-1]]
        named.append(f"{label} ({word}{reader.plan.where(int(tally.lines[last]))})")
    return ", ".join(named) + (f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else "")


def _test_rows(tally: Tally, share: float) -> tuple[NDArray[np.bool_], str]:
    """The test rows as the file or the dates determine them; none if the test is drawn at random."""
    nothing = np.zeros(len(tally), dtype=np.bool_)
    if not tally.in_split("").all():
        return tally.distinct & tally.in_split("test"), "the file's test rows"
    places = np.flatnonzero(tally.distinct)
    if not len(places) or np.isnan(tally.dates[places]).any():
        return nothing, ""
    newest = places[np.lexsort((places, tally.dates[places]))][-max(1, int(len(places) * share)) :]
    nothing[newest] = True
    since = datetime.fromtimestamp(float(tally.dates[newest[0]]), UTC)
    return nothing, f"the newest {share:.0%} (since {since:%Y-%m-%d}), which will be the test"


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return ", ".join(labels[:_NAMED]) + more


def write_mapping(found: Readiness, file: TicketFile, path: Path) -> None:
    """Keep how the files were read.

    Raises:
        TicketRouterError: the mapping cannot be written.
    """
    save_mapping(path, found.columns, file.options, found.seen)


def write_page(found: Readiness, path: Path) -> None:
    """
    Raises:
        TicketRouterError: the page cannot be written.
    """
    from training.report.check_page import render_check

    try:
        path.write_text(render_check(found), "utf-8")
    except OSError as error:
        raise TicketRouterError(f"--report {path}: cannot be written ({error.strerror})") from error
