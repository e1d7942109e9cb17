"""Results formatted as lines of text."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import torch, too slow for `check`
    from training.commands.check import Readiness
    from training.commands.evaluate import Evaluation
    from training.evaluation.metrics import FieldFigures, OutcomeFigures
    from training.run.request import TrainResult

_MOST_FAULTS = 20
_FEW_LINES = 5
_FEW_ROWS = 50
"""With fewer validation rows, an accuracy is uncertain by over ten points in either direction."""


def check_lines(found: "Readiness") -> Iterator[str]:
    """The contract's verdict: columns, faults by line, what is left out, labels, and whether it is enough."""
    yield f"{found.file}: {found.rows} rows; columns: " + ", ".join(f"{r}={c}" for r, c in found.columns.items())
    yield from _fault_lines(found)
    left_out = [f"{count} {reason.replace('_', ' ')}" for reason, count in found.left_out if count]
    if left_out:
        yield f"  left out: {', '.join(left_out)}"
    if found.empty_lines:
        more = " …" if len(found.empty_lines) > _FEW_LINES else ""
        yield f"  rows without text: line {', '.join(map(str, found.empty_lines[:_FEW_LINES]))}{more}"
    for field in found.fields:
        yield f"{field.name}: {len(field.counts)} labels{f', {field.missing} rows without one' * bool(field.missing)}"
        for label, count in field.counts.items():
            yield f"  {count:>6}  {label}{'   (too few)' if label in field.scarce else ''}"
    for kind, counts in found.slices.items():
        yield f"rows by {kind}: " + ", ".join(f"{name.strip()} {count}" for name, count in counts.items())
    yield found.verdict
    yield from found.advice


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


def train_lines(result: "TrainResult") -> Iterator[str]:
    """A few lines on the new bundle's figures and the next command."""
    record = result.record
    if record.remedies is not None:
        yield record.remedies.text
    for name, by_part in record.encoder.items():
        for part in ("validation", "test"):
            if part in by_part:
                gate = record.baseline[name][part]
                yield f"{name} on {by_part[part].rows} {part} rows: {_quality(by_part[part])}"
                yield f"  baseline (TF-IDF): accuracy {gate.accuracy:.3f}, macro-F1 {gate.macro_f1:.3f}"
                yield f"  {_outcomes(by_part[part].outcomes)}"
    for stage in record.stages:
        figures = stage.figures.get("test", stage.figures["validation"])
        yield (
            f"{stage.name}{' (ships)' * (stage.name == record.kept)}: accuracy {figures.accuracy:.3f}, "
            f"macro-F1 {figures.macro_f1:.3f}, {stage.minutes:.1f} minutes"
        )
    for variant in record.variants:
        faster = "" if variant.speedup is None else f", {variant.speedup:.1f} times faster than fp32"
        ships = "ships" if variant.ships else "left out"
        yield f"{variant.variant}, {variant.what}: {ships} ({variant.why}{faster})"
    if not record.beats_baseline:
        yield "warning: the model does not beat its TF-IDF baseline; more tickets or another --base may help"
    if record.rows["validation"] < _FEW_ROWS:
        yield f"warning: {record.rows['validation']} validation rows say little; add closed tickets"
    yield f"bundle: {result.bundle}{' (now current)' if result.is_current else ''}"
    yield f"report: {result.bundle / 'report.html'}"
    if not result.is_current:
        empty = " --allow-empty" * (record.remedies is not None)
        yield f"to serve it: python -m training promote --bundle {result.bundle} --store {result.bundle.parent}{empty}"


def evaluation_lines(found: "Evaluation", slices: Sequence[str] = ()) -> Iterator[str]:
    """The figures of each field, with those of the slices that were asked for."""
    yield f"bundle {found.bundle.version} on {found.rows} rows"
    yield from (f"  {note}" for note in found.notes)
    if found.empty:
        yield f"  {found.empty} rows had no text and are left to people; not in the figures"
    if found.unknown:
        yield f"  {found.unknown} rows have a department the bundle does not know; they count as wrong"
    for name, figures in found.figures.items():
        yield f"{name}: {_quality(figures)}"
        yield f"  {_outcomes(figures.outcomes)}"
        for one in found.findings.slices[name]:
            if one.kind in slices:
                right = "" if one.route_precision is None else f" ({one.route_precision:.1%} of them right)"
                yield (
                    f"  {one.kind} {one.name}: {one.rows} rows, accuracy {one.accuracy:.3f} "
                    f"[{one.low:.3f}, {one.high:.3f}], routed {one.routed:.1%}{right}"
                )
    scope = found.findings.scope
    if scope is not None and scope.recall is not None:
        yield f"{scope.outside_rows} rows are out of scope: {scope.recall:.1%} of them refused"


def _quality(figures: "FieldFigures") -> str:
    return f"accuracy {figures.accuracy:.3f}, macro-F1 {figures.macro_f1:.3f}, calibration error {figures.ece:.3f}"


def _outcomes(outcomes: "OutcomeFigures") -> str:
    precision = outcomes.route_precision
    right = "" if precision is None else f" ({precision:.1%} of them right)"
    refused = f", {outcomes.refused:.1%} of these as out of scope" if outcomes.refused else ""
    return (
        f"routed {outcomes.routed:.1%}{right}, suggested {outcomes.suggested:.1%}, "
        f"left to people {outcomes.reviewed:.1%}{refused}"
    )
