"""Results as the lines a person reads."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # they bring torch, which `check` should not wait for
    from training.evaluate import Evaluation
    from training.pipeline import TrainResult
    from training.readiness import Readiness

_MOST_FAULTS = 20
_FEW_ROWS = 50
"""Fewer validation rows than this, and an accuracy is off by over ten points either way."""


def check_lines(found: "Readiness") -> Iterator[str]:
    """The contract's verdict: columns, faults by line, departments, and whether it is enough."""
    yield f"{found.file}: {found.rows} rows; columns: " + ", ".join(f"{r}={c}" for r, c in found.columns.items())
    for fault in found.faults[:_MOST_FAULTS]:
        yield f"  line {fault.line}: {fault.what}"
    if len(found.faults) > _MOST_FAULTS:
        yield f"  … and {len(found.faults) - _MOST_FAULTS} more rows with faults"
    if found.duplicates or found.empty:
        yield f"  {found.duplicates} repeated texts and {found.empty} rows without text would be left out"
    for field in found.fields:
        yield f"{field.name}: {len(field.counts)} labels"
        for label, count in field.counts.items():
            yield f"  {count:>6}  {label}{'   (too few)' if label in field.scarce else ''}"
    yield found.verdict
    yield from found.advice


def train_lines(result: "TrainResult") -> Iterator[str]:
    """A few lines on how the bundle did, and what to do with it."""
    metrics = result.metrics
    for name, by_part in metrics["encoder"].items():
        for part in ("validation", "test"):
            if part in by_part:
                gate = metrics["baseline"][name][part]
                yield f"{name} on {by_part[part]['rows']} {part} rows: {_quality(by_part[part])}"
                yield f"  baseline (TF-IDF): accuracy {gate['accuracy']:.3f}, macro-F1 {gate['macro_f1']:.3f}"
                yield f"  {_outcomes(by_part[part]['outcomes'])}"
    if not metrics["beats_baseline"]:
        yield "warning: the encoder does not beat its TF-IDF baseline; more tickets or another --base may help"
    if metrics["rows"]["validation"] < _FEW_ROWS:
        yield f"warning: {metrics['rows']['validation']} validation rows say little; add closed tickets"
    yield f"bundle: {result.bundle}{' (now current)' if result.is_current else ''}"
    yield f"report: {result.bundle / 'report.html'}"
    if not result.is_current:
        yield f"to serve it: python -m training promote --bundle {result.bundle} --store {result.bundle.parent}"


def evaluation_lines(found: "Evaluation") -> Iterator[str]:
    """The figures of each field."""
    yield f"bundle {found.bundle.version} on {found.rows} rows"
    if found.empty:
        yield f"  {found.empty} rows had no text and are left to people; not in the figures"
    if found.unknown:
        yield f"  {found.unknown} rows have a department the bundle does not know; they count as wrong"
    for name, figures in found.figures.items():
        dumped = figures.model_dump()
        yield f"{name}: {_quality(dumped)}"
        yield f"  {_outcomes(dumped['outcomes'])}"


def _quality(figures: Mapping[str, Any]) -> str:
    return (
        f"accuracy {figures['accuracy']:.3f}, macro-F1 {figures['macro_f1']:.3f}, "
        f"calibration error {figures['ece']:.3f}"
    )


def _outcomes(outcomes: Mapping[str, Any]) -> str:
    precision = outcomes["route_precision"]
    right = "" if precision is None else f" ({precision:.1%} of them right)"
    return (
        f"routed {outcomes['routed']:.1%}{right}, suggested {outcomes['suggested']:.1%}, "
        f"left to people {outcomes['reviewed']:.1%}"
    )
