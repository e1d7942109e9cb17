"""Results formatted as lines of text."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import torch, too slow for `check`
    from training.commands.evaluate import Evaluation
    from training.evaluation.metrics import FieldFigures, OutcomeFigures
    from training.run.request import TrainResult

_FEW_ROWS = 50
"""With fewer validation rows, an accuracy is uncertain by over ten points in either direction."""


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
    refused = f" ({outcomes.refused:.1%} as strange)" if outcomes.refused else ""
    return (
        f"routed {outcomes.routed:.1%}{right}, suggested {outcomes.suggested:.1%}, "
        f"left to people {outcomes.reviewed:.1%}{refused}"
    )
