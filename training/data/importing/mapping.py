"""The mapping file: how an export was read, kept for next month's, and what that export held, to compare with."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import tomlkit

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError
from training.data.importing.plan import Plan, ReadOptions
from training.toml_files import load_toml

_SHIFT = 0.03
_SIGMAS = 3.0
_NAMED = 8


class Seen(Frozen):
    """An export: its day, columns, rows and label counts by field."""

    date: str
    columns: tuple[str, ...]
    rows: int
    labels: Mapping[str, Mapping[str, int]]


class MappingFile(Frozen):
    """The whole file. `columns`: role → column; an empty one means that the role is not used."""

    columns: Mapping[str, str] = {}
    date_format: str | None = None
    closed: tuple[str, ...] = ()
    label_level: int | None = None
    seen: Seen | None = None


def load_mapping(path: Path) -> MappingFile:
    """
    Raises:
        TicketRouterError: unreadable, not TOML, or an unknown key.
    """
    return load_toml(path, MappingFile, "mapping")


def save_mapping(path: Path, plan_columns: Mapping[str, str], options: ReadOptions, seen: Seen) -> None:
    """Write the mapping in full: every role's column as it was read, and the roles that the user does not want.

    Raises:
        TicketRouterError: the file cannot be written.
    """
    document = tomlkit.document()
    document.add(
        tomlkit.comment("How the export was read: give it next month with --mapping. Written by training check.")
    )
    if options.date_format:
        document["date_format"] = options.date_format
    if options.closed:
        document["closed"] = list(options.closed)
    if options.label_level is not None:
        document["label_level"] = options.label_level
    unused = {role for role, column in {**options.remembered, **options.columns}.items() if not column}
    document["columns"] = {**plan_columns, **{role: "" for role in unused if role not in plan_columns}}
    document["seen"] = seen.model_dump(mode="json")
    try:
        path.write_text(tomlkit.dumps(document), "utf-8")
    except OSError as error:
        raise TicketRouterError(f"--save-mapping {path}: cannot be written ({error.strerror})") from error


def seen_now(plan: Plan, labels: Mapping[str, Mapping[str, int]]) -> Seen:
    columns = tuple(dict.fromkeys(column for file in plan.files for column in file.found.columns))
    rows = sum(file.found.rows for file in plan.files)
    return Seen(date=datetime.now(UTC).date().isoformat(), columns=columns, rows=rows, labels=labels)


def compared(before: Seen, now: Seen) -> Iterator[str]:
    """What is different from the last export: columns, rows, labels, and shares that moved beyond chance."""
    if gone := [column for column in before.columns if column not in now.columns]:
        yield f"columns gone since {before.date}: {_named(gone)}"
    if new := [column for column in now.columns if column not in before.columns]:
        yield f"columns new since {before.date}: {_named(new)}"
    if before.rows and not 0.5 <= now.rows / before.rows <= 2:
        yield f"rows: {now.rows:,}, {before.rows:,} on {before.date}"
    for field, counts in now.labels.items():
        earlier = before.labels.get(field)
        if not earlier:
            continue
        if gone := [label for label in earlier if label not in counts]:
            yield f"{field}: labels gone since {before.date}: {_named(gone)}"
        if new := [f"{label} ({count})" for label, count in counts.items() if label not in earlier]:
            yield f"{field}: labels new since {before.date}: {_named(new)}"
        first, second = max(sum(earlier.values()), 1), max(sum(counts.values()), 1)
        moved = []
        for label, count in counts.items():
            was, share = earlier.get(label, 0) / first, count / second
            both = (earlier.get(label, 0) + count) / max(sum(earlier.values()) + sum(counts.values()), 1)
            deviation = math.sqrt(both * (1 - both) * (1 / first + 1 / second))
            if label in earlier and abs(share - was) >= max(_SHIFT, _SIGMAS * deviation):
                moved.append((abs(share - was), f"{label} {was:.0%} → {share:.0%}"))
        if moved:
            named = _named([text for _, text in sorted(moved, reverse=True)])
            yield f"{field}: shares moved since {before.date}: {named}"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(name[:60] for name in names[:_NAMED]) + more
