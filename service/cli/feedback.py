"""`python -m service feedback import`: what people decided, from a CSV file."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from sqlalchemy.exc import DBAPIError

from models.bundle.bundle import open_bundle
from models.errors import TicketRouterError
from models.label_source import LabelSource
from models.printable import printable
from service.cli.flags import FlagValues, settings_from, with_flags
from service.cli.records import RECORDS_SETTINGS, opened_database
from service.records.database.connections import Database, cause_of
from service.records.feedback import Feedback, are_on_record, store
from service.records.rows import storable

FEEDBACK_SETTINGS = (*RECORDS_SETTINGS, "bundle", "bundle_key")
PORTION = 250
"""Rows of one transaction: a running service waits only for so many."""
NAMES: Mapping[str, tuple[str, ...]] = {
    "decision_id": ("decision_id", "decision"),
    "ticket_id": ("ticket_id", "ticket", "id"),
    "field": ("field",),
    "value": ("value",),
    "at": ("at", "closed_at", "updated_at", "solved_at", "date"),
}
"""What the columns are usually called; spaces and hyphens count as underscores, and case does not count."""

Source = Literal["agent", "close", "import"]

feedback = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class FeedbackFileError(TicketRouterError):
    """The file cannot be imported; nothing of it was, unless the message says so."""


@dataclass(frozen=True, slots=True)
class Fault:
    line: int
    column: str
    message: str


@feedback.callback()
def group() -> None:
    """Bring feedback about recorded decisions."""


@feedback.command("import")
@with_flags(*FEEDBACK_SETTINGS)
def import_file(
    given: FlagValues,
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A row an item; see above.")],
    source: Annotated[Source, typer.Option(help="Where the values come from; `close`: they are those at close.")] = (
        "import"
    ),
    map_: Annotated[
        list[str] | None, typer.Option("--map", metavar="NAME=COLUMN", help="A column with another name; repeatable.")
    ] = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out tickets that are not on record.")
    ] = False,
) -> None:
    """Import feedback from a CSV file, also beside a running service.

    Columns: `ticket_id` or `decision_id`; either `field` and `value`, or one column for each field of the bundle, such
    as `department`; and `at`, without an offset in UTC (without the column: now). Broken rows are all listed, and then
    nothing is imported. A second import of the same file adds nothing.

    \b
    Examples:
      python -m service feedback import closed.csv --source close --skip-unknown
      python -m service feedback import moved.csv --source agent --map ticket_id=Number --map department=Team
    """
    settings = settings_from(given)
    manifest = open_bundle(settings.bundle, settings.bundle_key).manifest
    labels = {each.name: frozenset(label.name for label in each.labels) for each in manifest.fields}
    rows = list(_rows(file, labels, dict(map(_pair, map_ or ())), LabelSource(source)))
    faults = [each for _, each in rows if isinstance(each, Fault)]
    items = [(line, each) for line, each in rows if isinstance(each, Feedback)]
    with opened_database(given) as database:
        known = _known(database, [item for _, item in items])
        if not skip_unknown:
            faults += [
                Fault(line, "decision_id" if item.ticket_id is None else "ticket_id", "is not on record")
                for (line, item), is_known in zip(items, known, strict=True)
                if not is_known
            ]
        if faults:
            for fault in sorted(faults, key=lambda each: each.line):
                typer.echo(printable(f"line {fault.line}, column {fault.column}: {fault.message}"), err=True)
            raise FeedbackFileError(f"{file}: {len(faults)} faults; nothing was imported")
        wanted = [item for (_, item), is_known in zip(items, known, strict=True) if is_known]
        stored = _store(database, wanted, file)
    skipped = f", {len(items) - len(wanted)} rows not on record left out" if skip_unknown else ""
    typer.echo(f"{stored} values stored, of {len(wanted)} rows{skipped}", err=True)


def _store(database: Database, items: list[Feedback], file: Path) -> int:
    stored = 0
    for start in range(0, len(items), PORTION):
        try:
            with database.writer.begin() as connection:
                results = store(connection, items[start : start + PORTION])
        except (DBAPIError, OSError) as error:
            raise FeedbackFileError(
                f"{file}: the records failed ({cause_of(error)}) after {start} of {len(items)} rows; import the file "
                "again: what is on record is not stored twice"
            ) from error
        stored += sum(each.new for each in results if each is not None)
    return stored


def _known(database: Database, items: list[Feedback]) -> list[bool]:
    known: list[bool] = []
    with database.reader.begin() as connection:
        for start in range(0, len(items), PORTION):
            known += are_on_record(connection, items[start : start + PORTION])
    return known


def _rows(
    file: Path, labels: Mapping[str, frozenset[str]], mapping: Mapping[str, str], source: LabelSource
) -> Iterator[tuple[int, Feedback | Fault]]:
    """Each item or fault with its line."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            head = opened.readline()
            opened.seek(0)
            reader = csv.DictReader(opened, delimiter=max(",;\t", key=head.count), strict=True)
            columns = _columns(file, reader.fieldnames or [], labels, mapping)
            now = datetime.now(UTC)
            for row in reader:
                for item in _items(row, reader.line_num, columns, labels, source, now):
                    yield reader.line_num, item
    except OSError as error:
        raise FeedbackFileError(f"{file}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise FeedbackFileError(f"{file}: not UTF-8") from error
    except csv.Error as error:
        raise FeedbackFileError(f"{file}: not CSV after line {reader.line_num} ({error})") from error


def _columns(
    file: Path, header: Sequence[str], labels: Mapping[str, frozenset[str]], mapping: Mapping[str, str]
) -> dict[str, str]:
    """Name (of `NAMES`, or of a field of the bundle) → column."""
    names = {**NAMES, **{name: (name,) for name in labels}}
    if unknown := sorted(set(mapping) - set(names)):
        raise FeedbackFileError(f"--map {unknown[0]}: the names are {', '.join(names)}")
    if missing := [column for column in mapping.values() if column not in header]:
        raise FeedbackFileError(f"--map: {file} has no column {missing[0]}")
    usual = {name.strip().casefold().replace(" ", "_").replace("-", "_"): name for name in header}
    columns = {
        name: mapping.get(name) or next(usual[each] for each in usually if each in usual)
        for name, usually in names.items()
        if name in mapping or any(each in usual for each in usually)
    }
    if "decision_id" not in columns and "ticket_id" not in columns:
        raise FeedbackFileError(f"{file}: no column ticket_id or decision_id; name it with --map ticket_id=COLUMN")
    if ("field" in columns) != ("value" in columns) or not ("field" in columns or labels.keys() & columns.keys()):
        raise FeedbackFileError(f"{file}: no columns field and value, and none of {', '.join(labels)}")
    return columns


def _items(
    row: Mapping[str, str | None],
    line: int,
    columns: Mapping[str, str],
    labels: Mapping[str, frozenset[str]],
    source: LabelSource,
    now: datetime,
) -> Iterator[Feedback | Fault]:
    cells = {name: (row.get(column) or "").strip() for name, column in columns.items()}
    decision_id, ticket_id = cells.get("decision_id") or None, cells.get("ticket_id") or None
    faults: list[Fault] = []
    if decision_id is None and ticket_id is None:
        faults.append(Fault(line, columns.get("ticket_id") or columns["decision_id"], "is empty"))
    if "field" in columns:
        values = {cells["field"]: cells["value"]}
    else:
        values = {name: cells[name] for name in labels if cells.get(name)}
    for name, value in values.items():
        if name not in labels:
            faults.append(Fault(line, columns["field"], f"is no field of the bundle: {', '.join(labels)}"))
        elif value not in labels[name]:
            faults.append(Fault(line, columns.get(name) or columns["value"], "is no label of the bundle"))
    at = now
    if cells.get("at"):
        try:
            at = datetime.fromisoformat(cells["at"])
            at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        except ValueError:
            faults.append(Fault(line, columns["at"], "is no time such as 2026-11-30T08:00:00Z"))
        if at > now:
            faults.append(Fault(line, columns["at"], "is to come"))
    yield from faults
    if not faults and values:
        ticket_id = None if ticket_id is None or decision_id is not None else storable(ticket_id)
        yield Feedback(decision_id, ticket_id, values, source, max(0, int(at.timestamp() * 1000)))


def _pair(text: str) -> tuple[str, str]:
    name, separator, column = text.partition("=")
    if not separator:
        raise FeedbackFileError("--map wants NAME=COLUMN, such as ticket_id=Number")
    return name, column
