"""`training check`: validates a file against the data contract, and says whether its rows are enough to start."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from models.bundle.manifest import Frozen
from models.fields import DEPARTMENT
from training.calibration.sample_size import fewest_start
from training.data.contract import Checked, TicketRow, label_counts
from training.data.draw import source_advice, wanted_shares
from training.data.labels import alias_lines
from training.data.prepared import PreparedRow, distinct_rows, length_slice, prepare_rows
from training.data.source import TicketFile, check_tickets
from training.recipe import Recipe

ENOUGH_ROWS = 30
"""A label with fewer rows is learned badly, and its figures are uncertain: merge the label, or leave it to people."""
_NAMED = 8
"""One sentence names at most this many labels or lines."""
_MISREAD = re.compile("\ufffd|\u00c3[\u0080-\u00bf\u0178\u0152\u0153\u0160\u2013\u201e\u2030]|\u00e2\u20ac")


class FaultEntry(Frozen):
    """A fault in one cell of the file's column `column`; `text` is a complete sentence."""

    line: int
    column: str
    what: str
    text: str


class LeftOut(Frozen):
    """Rows that training leaves out, by reason."""

    not_closed: int
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


class Readiness(Frozen):
    """The result of a check: what a person needs to know before training on the file."""

    file: str
    rows: int
    columns: Mapping[str, str]
    faults: tuple[FaultEntry, ...]
    left_out: LeftOut
    empty_lines: tuple[int, ...]
    """Lines of rows without text after cleaning."""
    fields: tuple[FieldCounts, ...]
    slices: Mapping[str, Mapping[str, int]]
    """Rows by month, language and length, if the file has these columns."""
    ready: bool
    verdict: str
    advice: tuple[str, ...]


def assess(file: TicketFile, fields: tuple[str, ...]) -> Readiness:
    """Read a file and report its faults. Arguments and errors as in `check_tickets`."""
    table, checked = check_tickets(file, fields)
    filled, empty = prepare_rows(checked.rows)
    distinct = distinct_rows(filled)[0]
    rows = [item.row for item in distinct]
    counts = tuple(_counts(rows, field) for field in fields)
    verdict = _refusal(checked, counts)
    with_text = {item.row.line for item in filled}
    return Readiness(
        file=str(file.path),
        rows=len(table.records),
        columns=checked.columns,
        faults=tuple(FaultEntry(line=f.line, column=f.column, what=f.what, text=str(f)) for f in checked.faults),
        left_out=LeftOut(
            not_closed=checked.not_closed,
            retired=checked.retired,
            out_of_scope=len(checked.outside),
            empty=empty,
            duplicates=len(filled) - len(distinct),
        ),
        empty_lines=tuple(row.line for row in checked.rows if row.line not in with_text),
        fields=counts,
        slices=_slices(distinct),
        ready=verdict is None,
        verdict=verdict or "enough to start: " + "; ".join(map(_enough, counts)),
        advice=(*source_advice(distinct), *_advice(checked, rows, counts)),
    )


def _counts(rows: Sequence[TicketRow], field: str) -> FieldCounts:
    counts = dict(label_counts(rows, field).most_common())
    scarce = tuple(label for label, number in counts.items() if number < ENOUGH_ROWS)
    return FieldCounts(name=field, counts=counts, scarce=scarce, missing=len(rows) - sum(counts.values()))


def _slices(rows: Sequence[PreparedRow]) -> dict[str, dict[str, int]]:
    dated = [item.row.created_at for item in rows if item.row.created_at]
    slices = {
        "month": Counter(f"{moment:%Y-%m}" for moment in dated),
        "language": Counter(item.row.language for item in rows if item.row.language),
        "label source": Counter(str(source) for item in rows if (source := item.row.label_source)),
        "length": Counter(length_slice(item.text) for item in rows),
    }
    return {kind: dict(sorted(counts.items())) for kind, counts in slices.items() if counts}


def _refusal(checked: Checked, counts: Sequence[FieldCounts]) -> str | None:
    """The reason why training would fail or be pointless; None: training may start."""
    if checked.faults:
        broken = len({fault.line for fault in checked.faults})
        return f"not ready: rows that break the contract: {broken}; mend or remove them"
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


def _advice(checked: Checked, rows: Sequence[TicketRow], counts: Sequence[FieldCounts]) -> Iterator[str]:
    """What a person can do about the faults, and what is no fault but will lower the figures."""
    for field, aliases in checked.aliases.items():
        yield f"{field}: if these labels are one, put this into a file and give it as --labels:"
        yield from alias_lines(field, aliases).splitlines()
    yield from checked.notes
    recipe = Recipe()
    for counted in counts:
        yield from _rare_labels(rows, counted, recipe.data.minimum_rows)
        yield from _untested_labels(rows, counted, recipe.split.test)
    yield from _wrong_encodings(rows)
    yield from _too_few_to_route(rows, recipe)


def _rare_labels(rows: Sequence[TicketRow], field: FieldCounts, minimum: int) -> Iterator[str]:
    once = {label for label, number in field.counts.items() if number == 1}
    if once:
        lines = [f"{row.labels[field.name]} (line {row.line})" for row in rows if row.labels[field.name] in once]
        yield f"{field.name}: seen once: {_named(lines)}; a slip? mend it, or give it an alias in the labels file"
    rare = [label for label, number in field.counts.items() if 1 < number < minimum]
    if once or rare:
        yield f"{field.name}: not learned, as under {minimum} rows: {_named([*rare, *sorted(once)])}"


def _untested_labels(rows: Sequence[TicketRow], field: FieldCounts, share: float) -> Iterator[str]:
    """Labels without test rows, or with test rows only."""
    tested, where = _test_rows(rows, share)
    if not tested:
        return
    lines = {row.line for row in tested}
    inside = label_counts(tested, field.name)
    outside = label_counts((row for row in rows if row.line not in lines), field.name)
    last = {row.labels[field.name]: row.line for row in sorted(rows, key=_by_time)}
    if missing := [f"{label} (last in line {last[label]})" for label in outside if not inside[label]]:
        yield f"{field.name}: no row in {where}, so not measured there: {_named(missing)}"
    if new := [f"{label} (line {last[label]})" for label in inside if not outside[label]]:
        yield f"{field.name}: rows in {where} alone, so never learned: {_named(new)}"


def _test_rows(rows: Sequence[TicketRow], share: float) -> tuple[list[TicketRow], str]:
    """The test rows as the file or the dates determine them; empty if the test is drawn at random."""
    if any(row.split for row in rows):
        return [row for row in rows if row.split == "test"], "the file's test rows"
    if not rows or not all(row.created_at for row in rows):
        return [], ""
    newest = sorted(rows, key=_by_time)[-max(1, int(len(rows) * share)) :]
    return newest, f"the newest {share:.0%} (since {newest[0].created_at:%Y-%m-%d}), which will be the test"


def _by_time(row: TicketRow) -> float:
    return row.created_at.timestamp() if row.created_at else 0.0


def _wrong_encodings(rows: Sequence[TicketRow]) -> Iterator[str]:
    """UTF-8 that was read as Windows-1252 and written again, or replacement characters left by an export."""
    for column in ("subject", "body"):
        lines = [f"line {row.line}" for row in rows if _MISREAD.search(getattr(row.ticket, column))]
        if lines:
            yield f"{column}: signs of a wrong encoding ('Ã¼' for 'ü'): {_named(lines)}; if many, export anew as UTF-8"


def _too_few_to_route(rows: Sequence[TicketRow], recipe: Recipe) -> Iterator[str]:
    """The number of calibration rows, all of them right, that is needed before any label can be routed."""
    needed = fewest_start(recipe.promise)
    own = sum(row.split == "calibration" for row in rows)
    if (own or _calibration_rows(len(rows), recipe)) < needed:
        tickets = next(total for total in count(needed) if _calibration_rows(total, recipe) >= needed)
        takes = f"{needed} calibration rows" if own else f"about {tickets} tickets"
        yield (
            f"too few to route without a person at the default promise, which takes {takes}: "
            "expect suggestions, or promise less in the recipe"
        )


def _calibration_rows(rows: int, recipe: Recipe) -> int:
    return round(rows * wanted_shares(recipe.split, rows)["calibration"])


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return ", ".join(labels[:_NAMED]) + more
