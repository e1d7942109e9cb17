"""Figures → the HTML page: the data of each section, and the templates that render it."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from models.bundle.manifest import FieldEntry
from training.calibration.precision_curve import TargetFigures
from training.evaluation.advice import Advice
from training.evaluation.business_impact import NORMAL, PRIOR
from training.evaluation.measured import WorstError
from training.evaluation.metrics import FieldFigures
from training.evaluation.record import Findings, Record
from training.evaluation.slices import SliceFigures
from training.report.formats import HERE, html_environment
from training.report.labels import LabelRow, Matrix, label_rows, matrix
from training.report.plots import epochs_plot, reliability_plot, risk_coverage_plot
from training.report.promise import PromiseCheck, check_promise
from training.report.settings import changed_settings


@dataclass(frozen=True, slots=True)
class FieldView:
    """The data of one field's section."""

    entry: FieldEntry
    figures: FieldFigures
    promise_check: PromiseCheck
    labels: tuple[LabelRow, ...]
    matrix: Matrix
    risk_coverage: Markup
    reliability: Markup
    targets: tuple[TargetFigures, ...]
    slices: Mapping[str, Sequence[SliceFigures]]
    """By kind."""
    worst: tuple[WorstError, ...]
    advice: tuple[Advice, ...]


def render_report(
    title: str, entries: Sequence[FieldEntry], record: Record, provenance: Mapping[str, Any] | None = None
) -> str:
    """A training run's page, as HTML text.

    Args:
        title: its heading.
        entries: the bundle's fields.
        record: the run's findings.
        provenance: the manifest's: recipe, data, code and package versions.
    """
    content = {
        "record": record,
        "measured_on": record.measured,
        "epochs": epochs_plot("epochs", record.epochs) if record.epochs else None,
        "provenance": provenance,
        "changed": changed_settings(provenance["recipe"]) if provenance else (),
    }
    return _render(title, entries, record.figures(), record, content)


def render_evaluation(
    title: str, entries: Sequence[FieldEntry], figures: Mapping[str, FieldFigures], findings: Findings | None = None
) -> str:
    """The page of an evaluation: `figures` by field, and the other findings."""
    content = {"record": None, "measured_on": "given", "epochs": None, "provenance": None, "changed": ()}
    return _render(title, entries, figures, findings or Findings(), content)


def _render(
    title: str,
    entries: Sequence[FieldEntry],
    figures: Mapping[str, FieldFigures],
    findings: Findings,
    content: Mapping[str, Any],
) -> str:
    script = (HERE / "effect.js").read_text("utf-8")
    return html_environment().get_template("page.html.j2").render(
        title=title,
        fields=[_field_view(entry, figures[entry.name], findings) for entry in entries if entry.name in figures],
        findings=findings,
        # Markup: these are files of the product.
        style=Markup((HERE / "style.css").read_text("utf-8")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        prior=PRIOR,
        normal=NORMAL,
        **content,
    )  # fmt: skip


def _field_view(entry: FieldEntry, figures: FieldFigures, findings: Findings) -> FieldView:
    """The section's data; slices are grouped by kind."""
    targets = tuple(findings.targets.get(entry.name, ()))
    slices: dict[str, list[SliceFigures]] = {}
    for each in findings.slices.get(entry.name, ()):
        slices.setdefault(each.kind, []).append(each)
    return FieldView(
        entry=entry,
        figures=figures,
        promise_check=check_promise(entry, figures),
        labels=label_rows(entry, figures),
        matrix=matrix(figures),
        risk_coverage=risk_coverage_plot(f"trade-{entry.name}", figures, targets, entry.promise.route_precision),
        reliability=reliability_plot(f"reliability-{entry.name}", figures.reliability),
        targets=targets,
        slices=slices,
        worst=tuple(findings.worst.get(entry.name, ())),
        advice=tuple(advice for advice in findings.advice if advice.field == entry.name),
    )
