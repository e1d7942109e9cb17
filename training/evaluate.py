"""A bundle held against closed tickets, through onnxruntime: the path the service takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bundle import Bundle, open_bundle
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.manifest import Variant
from training.closed import ClosedTickets, read_closed
from training.data.split import label_numbers
from training.measure.answers import answering, load_variant
from training.measure.behaviour import behaviour
from training.measure.metrics import UNKNOWN, FieldFigures, field_figures
from training.measure.record import Findings
from training.report import render_evaluation

SEED = 13


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Each field's figures; `empty` rows had no text left and went to review; `unknown` ones have a department that
    the bundle does not know, and count as wrong. `findings.behaviour` is empty where it was not asked for."""

    bundle: Bundle
    rows: int
    empty: int
    unknown: int
    figures: Mapping[str, FieldFigures]
    findings: Findings


def evaluate(
    bundle_path: Path, data: Path, columns: Mapping[str, str], variant: Variant = "fp32", *, behave: bool = False
) -> Evaluation:
    """Figures of a bundle on a file of closed tickets. Fields that the file has no column for are left out.

    Args:
        bundle_path: the bundle's folder.
        data: CSV, JSONL or Parquet.
        columns: role → column, where a column has none of its usual names.
        variant: the graph to run.
        behave: also try changes that must not change the department.

    Raises:
        TicketRouterError: the bundle or the file is not sound, no row has text, or the bundle lacks the variant.
    """
    bundle = open_bundle(bundle_path)
    closed = read_closed(data, [field.name for field in bundle.manifest.label_space()], columns)
    figures = _figures(bundle, closed, variant)
    unknown = sum(row.row.labels[DEPARTMENT] not in bundle.scorings[0].field.labels for row in closed.rows)
    findings = Findings(behaviour=behaviour(answering(bundle, variant), closed.rows, SEED) if behave else ())
    return Evaluation(bundle, len(closed.rows) + closed.empty, closed.empty, unknown, figures, findings)


def _figures(bundle: Bundle, closed: ClosedTickets, variant: Variant) -> dict[str, FieldFigures]:
    logits = load_variant(bundle, variant).logits([bundle.encode(row.text) for row in closed.rows])
    result = {}
    for scoring in bundle.scorings:
        if scoring.field.name in closed.fields:
            labels = label_numbers(closed.rows, scoring.field, unknown=UNKNOWN)
            found = field_figures(logits, labels, scoring)
            if found is not None:
                result[scoring.field.name] = found
    return result


def write_report(found: Evaluation, path: Path) -> None:
    """Write the evaluation as one self-contained HTML page.

    Raises:
        TicketRouterError: the file cannot be written.
    """
    title = f"Evaluation of bundle {found.bundle.version}"
    page = render_evaluation(title, found.bundle.manifest.fields, found.figures, found.findings)
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise TicketRouterError(f"{path}: cannot write the report there ({error.strerror})") from error


def summary(found: Evaluation) -> dict[str, Any]:
    """The evaluation as plain values, for machines."""
    behaved = [one.model_dump(mode="json") for one in found.findings.behaviour]
    return {
        "version": found.bundle.version,
        "rows": found.rows,
        "empty": found.empty,
        "unknown": found.unknown,
        "figures": {name: value.model_dump(mode="json") for name, value in found.figures.items()},
        **({"behaviour": behaved} if behaved else {}),
    }
