"""`training evaluate`: measures a bundle on closed tickets through onnxruntime, as the service runs it."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.bundle.bundle import Bundle, Graph, open_bundle
from models.bundle.manifest import Variant
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.scoring import Logits
from training.calibration.predictions import Scored
from training.data.example import Example
from training.data.prepared import label_numbers
from training.data.source import TicketFile, learned_from, read_closed
from training.evaluation.bundle_answers import graph_here, load_graph, load_predictor
from training.evaluation.measured import Prediction, Predictions, predictions_of
from training.evaluation.metrics import UNKNOWN, FieldFigures, field_figures, scope_figures
from training.evaluation.record import Findings
from training.evaluation.robustness.behavioural import behaviour
from training.report import render_evaluation

SEED = 13


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Each field's figures with this graph. `empty` rows have no text after cleaning and go to review; `unknown` rows
    have a department that the bundle does not know and count as wrong. `notes`: entries of the labels file that match
    nothing. `findings.behaviour` is empty unless requested."""

    bundle: Bundle
    graph: Graph
    rows: int
    empty: int
    unknown: int
    notes: tuple[str, ...]
    figures: Mapping[str, FieldFigures]
    findings: Findings
    measured: Mapping[str, Predictions]


def evaluate(
    bundle_path: Path,
    file: TicketFile,
    variant: Variant = "fp32",
    *,
    behave: bool = False,
    slices: Sequence[str] = (),
) -> Evaluation:
    """Figures of a bundle on a file of closed tickets. Fields without a column in the file are left out.

    Args:
        bundle_path: the bundle's folder.
        file: the closed tickets.
        variant: the graph to run.
        behave: also run the behavioural tests.
        slices: columns of the file for further slices.

    Raises:
        TicketRouterError: the bundle or the file is not valid, no row has text, or the bundle has no graph of the
            variant for this processor.
    """
    bundle = open_bundle(bundle_path)
    closed = read_closed(file, [field.name for field in bundle.manifest.label_space()], slices)
    graph = graph_here(bundle, variant)
    model = load_graph(bundle, graph)

    def logits_of(rows: Sequence[Example]) -> Logits:
        return model.logits([bundle.encode(row.text) for row in rows])

    logits = logits_of(closed.rows)
    measured = {
        scoring.field.name: predictions_of(
            closed.rows, Scored(logits, label_numbers(closed.rows, scoring.field, unknown=UNKNOWN)), scoring
        )
        for scoring in graph.scorings
        if scoring.field.name in closed.fields
    }
    outside = logits_of(closed.outside) if closed.outside else None
    figures = {
        name: found
        for name, rows in measured.items()
        if (found := field_figures(rows.logits, rows.labels, rows.scoring)) is not None
    }
    findings = Findings(
        slices={name: measured[name].slices(closed.cells) for name in figures},
        worst={name: measured[name].worst() for name in figures},
        scope=scope_figures(graph.entry.fields[0], graph.scorings[0], measured[DEPARTMENT].logits, outside),
        behaviour=behaviour(load_predictor(bundle, variant), closed.rows, SEED) if behave else (),
    )
    unknown = int((measured[DEPARTMENT].labels == UNKNOWN).sum())
    rows = len(closed.rows) + closed.empty
    notes = list(closed.notes)
    provenance = bundle.manifest.provenance
    origins = [entry.get("data", {}) for entry in (provenance, provenance.get("recalibration", {}))]
    if (path := learned_from(file, origins)) is not None:
        flatter = "the bundle learned from this very file, so these figures flatter; give later tickets"
        notes.insert(0, f"warning: {path}: {flatter}")
    return Evaluation(bundle, graph, rows, closed.empty, unknown, tuple(notes), figures, findings, measured)


def write_report(found: Evaluation, path: Path) -> None:
    """Write the evaluation as one self-contained HTML page.

    Raises:
        TicketRouterError: the file cannot be written.
    """
    title = f"Evaluation of bundle {found.bundle.version}"
    page = render_evaluation(title, found.graph.entry.fields, found.figures, found.findings)
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise TicketRouterError(f"{path}: cannot write the report there ({error.strerror})") from error


def refuse_format(predictions: Path) -> None:
    """Raise TicketRouterError unless the name ends in .csv or .jsonl. Before an evaluation: it takes minutes."""
    if predictions.suffix.lower() not in (".csv", ".jsonl"):
        raise TicketRouterError(f"{predictions}: predictions are written as .csv or .jsonl")


def write_predictions(found: Evaluation, path: Path) -> None:
    """Write one line for each row and field: CSV, or JSONL if the name ends so. It holds no ticket text.

    Raises:
        TicketRouterError: the name ends otherwise, or the file cannot be written.
    """
    refuse_format(path)
    rows = [row.model_dump() for predictions in found.measured.values() for row in predictions.rows()]
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            if path.suffix.lower() == ".csv":
                writer = csv.DictWriter(file, list(Prediction.model_fields))
                writer.writeheader()
                writer.writerows(rows)
            else:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    except OSError as error:
        raise TicketRouterError(f"{path}: cannot write the predictions there ({error.strerror})") from error


def summary(found: Evaluation) -> dict[str, Any]:
    """The evaluation as plain values, for JSON."""
    # Without the worst errors: they quote tickets.
    found_too = found.findings.model_dump(mode="json", include={"slices", "scope", "behaviour"})
    return {
        "version": found.bundle.version,
        "rows": found.rows,
        "empty": found.empty,
        "unknown": found.unknown,
        "figures": {name: value.model_dump(mode="json") for name, value in found.figures.items()},
        **{name: value for name, value in found_too.items() if value},
    }
