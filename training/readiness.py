"""`training check`: a file held against the contract, and a verdict on whether it is enough to start."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from models.manifest import Frozen
from training.certainty.promise import fewest_start
from training.data.contract import Checked, check_table, label_counts
from training.data.split import distinct_rows, prepare_rows
from training.data.table import read_table
from training.recipe import Recipe

ENOUGH_ROWS = 30
"""A label with fewer rows is learned badly and measured worse; merge it, or leave it to people."""


class FaultEntry(Frozen):
    """Something wrong in one row."""

    line: int
    what: str


class FieldCounts(Frozen):
    """A field's labels with their rows, most frequent first; `scarce` ones have fewer than ENOUGH_ROWS."""

    name: str
    counts: Mapping[str, int]
    scarce: tuple[str, ...]


class Readiness(Frozen):
    """What a person needs to know before training on a file."""

    file: str
    rows: int
    columns: Mapping[str, str]
    faults: tuple[FaultEntry, ...]
    duplicates: int
    empty: int
    fields: tuple[FieldCounts, ...]
    ready: bool
    verdict: str
    advice: tuple[str, ...]


def assess(data: Path, fields: tuple[str, ...], columns: Mapping[str, str]) -> Readiness:
    """Read a file and say what is wrong with it.

    Raises:
        TicketRouterError: it cannot be read at all, or a column is missing.
    """
    table = read_table(data)
    checked = check_table(table, fields, columns)
    filled, empty = prepare_rows(checked.rows)
    counts = tuple(_counts(checked, field) for field in fields)
    verdict = _verdict(checked, counts)
    return Readiness(
        file=str(data),
        rows=len(table.records),
        columns=checked.columns,
        faults=tuple(FaultEntry(line=fault.line, what=fault.what) for fault in checked.faults),
        duplicates=len(filled) - len(distinct_rows(filled)[0]),
        empty=empty,
        fields=counts,
        ready=verdict is None,
        verdict=verdict or _ready(counts[0]),
        advice=() if verdict else tuple(_advice(counts)),
    )


def _counts(checked: Checked, field: str) -> FieldCounts:
    counts = dict(label_counts(checked.rows, field).most_common())
    return FieldCounts(name=field, counts=counts, scarce=tuple(k for k, n in counts.items() if n < ENOUGH_ROWS))


def _verdict(checked: Checked, counts: tuple[FieldCounts, ...]) -> str | None:
    """Why training would fail or be pointless; None: it may start."""
    if checked.faults:
        return f"not ready: rows that break the contract: {len(checked.faults)}; mend or remove them"
    for field in counts:
        if len(field.counts) < 2:
            return f"not ready: {field.name} has {len(field.counts)} label(s); it needs at least two"
    if len(counts[0].counts) - len(counts[0].scarce) < 2:
        return f"not ready: fewer than two departments have {ENOUGH_ROWS} tickets"
    return None


def _ready(department: FieldCounts) -> str:
    enough = len(department.counts) - len(department.scarce)
    needed = ", ".join(f"{label} needs {ENOUGH_ROWS - department.counts[label]} more" for label in department.scarce)
    summary = f"enough to start: {enough} of {len(department.counts)} departments"
    return f"{summary}; {needed}" if needed else summary


def _advice(counts: tuple[FieldCounts, ...]) -> Iterator[str]:
    """What is no fault but will disappoint: labels that are one to a person, and too few rows for the promise."""
    for field in counts:
        spellings = Counter(label.casefold() for label in field.counts)
        twice = sorted(label for label in field.counts if spellings[label.casefold()] > 1)
        if twice:
            yield f"{field.name}: labels that differ in case alone are learned apart: {', '.join(twice)}"
    recipe = Recipe()
    least = int(fewest_start(recipe.promise) / (recipe.split.calibration or 0.1))
    # The default promise needs so many calibration rows, all of them right, before anything is routed.
    if sum(counts[0].counts.values()) < least:
        yield (
            f"too few to route without a person at the default promise, which takes about {least} tickets: "
            "expect suggestions, or promise less in the recipe"
        )
