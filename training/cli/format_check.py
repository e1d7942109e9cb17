"""The result of `training check` as lines of text."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports scipy
    from training.commands.check import Readiness
    from training.forecast.routing import Forecast

_MOST_FAULTS = 20
_FEW_LINES = 5


def explain_lines(found: "Readiness", data: Sequence[Path]) -> Iterator[str]:
    """Each role with its column, the reason and examples, and the command that changes a wrong guess."""
    for entry in found.roles:
        examples = " | ".join(entry.examples) or "(empty)"
        yield f"{entry.role}: column {entry.column!r}, {entry.why}; for example: {examples}"
    there = {entry.role for entry in found.roles}
    if absent := [role for role in ("created_at", "status", "closed_at", "requester", "thread") if role not in there]:
        yield f"not found: {', '.join(absent)}"
    files = " ".join(f"--data {shlex.quote(str(path))}" for path in data)
    yield f"to change one: python -m training check {files} --column ROLE=COLUMN   (ROLE= leaves the role out)"


def check_lines(found: "Readiness") -> Iterator[str]:
    """The contract's verdict: columns, faults by line, what is left out, labels, the forecast, and whether it is
    enough."""
    files = ", ".join(found.files)
    yield f"{files}: {found.rows} rows; columns: " + ", ".join(f"{r}={c}" for r, c in found.columns.items())
    yield from (f"  {note}" for note in found.notes)
    yield from _fault_lines(found)
    left_out = [f"{count} {reason.replace('_', ' ')}" for reason, count in found.left_out if count]
    if left_out:
        yield f"  left out: {', '.join(left_out)}"
    if found.empty_lines:
        more = " …" if found.left_out.empty > _FEW_LINES else ""
        yield f"  rows without text: line {', '.join(map(str, found.empty_lines[:_FEW_LINES]))}{more}"
    for field in found.fields:
        yield f"{field.name}: {len(field.counts)} labels{f', {field.missing} rows without one' * bool(field.missing)}"
        for label, count in field.counts.items():
            yield f"  {count:>6}  {label}{'   (too few)' if label in field.scarce else ''}"
    for kind, counts in found.slices.items():
        yield f"rows by {kind}: " + ", ".join(f"{name.strip()} {count}" for name, count in counts.items())
    yield from (f"changed: {change}" for change in found.changes)
    if found.near_copies:
        of = f" of a sample of {found.sampled:,}" if found.sampled else ""
        yield f"near copies: about {found.near_copies:,} rows{of} are nearly the same as another"
    if found.forecast is not None:
        yield from forecast_lines(found.forecast)
    yield found.verdict
    yield from found.advice


def forecast_lines(ahead: "Forecast") -> Iterator[str]:
    """What a first bundle will route, and how long it takes."""
    for routed in ahead.routed:
        span = f"{routed.routed.low:.0%} to {routed.routed.high:.0%}"
        yield f"forecast at a promise of {routed.target:.0%}: {routed.routed.value:.0%} routed ({span})"
    yield (
        f"  by a cheap model on {ahead.rows:,} rows, {ahead.accuracy.value:.1%} right; training here takes about "
        f"{_minutes(ahead.quick_minutes)} with --quick, {_minutes(ahead.full_minutes)} in full (embedded base)"
    )


def _minutes(value: float) -> str:
    return f"{max(value, 2):.0f} minutes" if value < 120 else f"{value / 60:.0f} hours"


def _fault_lines(found: "Readiness") -> Iterator[str]:
    """The first few faults of each column: one bad column must not hide the others."""
    columns: dict[str, list[str]] = {}
    for fault in found.faults:
        columns.setdefault(fault.column, []).append(fault.text)
    most = max(_FEW_LINES, _MOST_FAULTS // max(len(columns), 1))
    for column, faults in columns.items():
        yield from (f"  {fault}" for fault in faults[:most])
        if len(faults) > most:
            yield f"  … and {len(faults) - most} more faults in column {column!a}"
