"""`training recalibrate`: temperatures, thresholds and promises of a bundle anew, from tickets that came after it.

The weights stay. The result is a version of its own in the store; it does not become current.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.bundle.bundle import NGRAMS, Bundle, Graph, open_bundle, write_bundle
from models.bundle.golden import GoldenRow, dump_rows, load_rows
from models.bundle.manifest import FieldEntry, ModelEntry, scorings_of
from models.encoding import Encoding
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.processor import instructions
from models.scoring import Outcome, Outputs
from training.calibration.predictions import outcomes_of
from training.calibration.sample_size import fewest_start
from training.data.contract import Checked
from training.data.example import Example
from training.data.prepared import MISSING
from training.data.source import TicketFile, learned_from, read_tickets
from training.data.split import PLANNING, Split, split_later
from training.evaluation.bundle_answers import load_graph
from training.evaluation.metrics import UNKNOWN
from training.evaluation.quantization_gate import (
    Reference,
    VariantFigures,
    calibrate_fields,
    compare_graph,
)
from training.evaluation.record import CostFigures, Record
from training.export.golden_rows import Answers, rejudged
from training.export.onnx import OnnxModel
from training.export.provenance import code_revision
from training.export.reference import reference_of
from training.learn.rows import EncodedExamples
from training.recipe import Recipe
from training.report import model_card, render_report
from training.run.calibrated import Judged
from training.run.dataset import OUTSIDE, encode_rows, outside_rows
from training.run.metrics import figures_of, findings_of, peak_megabytes
from training.run.request import Say, refuse_unwritable

RECALIBRATION = "recalibration"
"""Key of the provenance: the bundle whose weights these are, and the rows that calibrated it."""
FEWEST = 50
"""In cost mode no precision is tested, but temperatures and the proven precision need rows."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class RecalibrateRequest:
    """The options of the command. `store` None: the bundle's own; `precision` None: the bundle's own target; `fields`:
    further ones that the file must have."""

    bundle: Path
    file: TicketFile
    store: Path | None = None
    precision: float | None = None
    fields: tuple[str, ...] = ()
    allow_unknown: bool = False
    """Rows with labels that the bundle lacks count as wrong answers; otherwise they are an error."""


@dataclass(frozen=True, slots=True)
class RoutedShare:
    """A field's share of the testing rows that the old and the new thresholds route, and their precision."""

    before: float
    after: float
    precision_before: float | None
    precision_after: float | None
    rows: int


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The new bundle's folder, its findings, and each field's routed share before and after."""

    bundle: Path
    of: str
    record: Record
    entries: tuple[FieldEntry, ...]
    routed: Mapping[str, RoutedShare]

    def summary(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "bundle": str(self.bundle),
            "of": self.of,
            "routed": {name: asdict(found) for name, found in self.routed.items()},
            "metrics": self.record.model_dump(mode="json"),
        }


@dataclass(frozen=True, slots=True)
class _Calibrated:
    """One graph with its new entry, and its outputs by part."""

    model: OnnxModel
    entry: ModelEntry
    outputs: Mapping[str, Outputs]


def recalibrate(request: RecalibrateRequest, say: Say) -> Recalibration:
    """Calibrate every graph of a bundle on later tickets, and write the result as a version of its own.

    Raises:
        TicketRouterError: any error that the user can fix; nothing is written.
    """
    started = time.monotonic()
    bundle = open_bundle(request.bundle)
    refuse_unwritable(request.store or bundle.path.parent)
    recipe = _recipe(bundle, request.precision)
    try:
        before = Record.model_validate_json(bundle.read("metrics.json"))
    except ValidationError as error:
        raise TicketRouterError(f"{bundle.path}: its metrics.json is not of this release; train it anew") from error
    checked = _read_later(bundle, request)
    split = split_later(checked.rows, recipe, recipe.seed)
    _refuse_too_few(request.file.path, split, recipe)
    for line in (*checked.notes, *_notes(bundle, split), *split.advice):
        say(line)
    space = bundle.manifest.label_space()
    rows = {**split.parts, OUTSIDE: outside_rows(checked)}
    parts = {name: encode_rows(part, bundle.encoder, space, UNKNOWN) for name, part in rows.items() if part}
    say("calibration: temperatures, thresholds and their promises")
    fp32 = _calibrated(bundle, bundle.fp32, parts, recipe)
    judged = Judged(
        entries=fp32.entry.fields,
        scorings=fp32.entry.scorings(),
        logits={name: found.logits for name, found in fp32.outputs.items()},
        parts=parts,
        served=fp32.outputs["validation"],
    )
    graphs, variants = _variants(bundle, before, judged, recipe)
    # The bundle's golden rows under the new thresholds: no later ticket becomes a part of the bundle.
    old = load_rows(bundle)
    encodings = [Encoding(row.ids, False) for row in old]
    answers = [Answers(graph.model.logits(encodings), graph.entry.scorings()[0]) for graph in graphs]
    golden = rejudged(old, judged.scorings[0], answers)
    if not golden:
        raise TicketRouterError(f"{bundle.path}: no golden row is clear of the new thresholds; train it anew")
    say("report: slices, behaviour, what other promises would give")
    figures = figures_of(judged)
    record = before.model_copy(
        update={
            **dict(findings_of(judged, figures, fp32.model, recipe, sum(map(len, split.parts.values())))),
            "rows": {name: len(part) for name, part in split.parts.items()},
            "removed": split.removed,
            "epochs": (),
            "baseline": {field.name: {} for field in space},
            "encoder": figures,
            "suspects": (),
            "variants": variants,
            "cost": CostFigures(seconds=time.monotonic() - started, peak_megabytes=peak_megabytes()),
            "stages": (),
            "recalibrated": bundle.version,
        }
    )
    folder = _write(bundle, request, recipe, record, [fp32, *graphs], golden)
    routed = {
        entry.name: _routed_share(judged, bundle.fp32, column)
        for column, entry in enumerate(judged.entries)
        if entry is not bundle.manifest.fields[column]
    }
    return Recalibration(folder, bundle.version, record, judged.entries, routed)


def _recipe(bundle: Bundle, precision: float | None) -> Recipe:
    """The bundle's recipe, with another target precision if one is given."""
    try:
        recipe = Recipe.model_validate(bundle.manifest.provenance.get("recipe"))
    except ValidationError as error:
        raise TicketRouterError(f"{bundle.path}: its recipe is not of this release; train it anew") from error
    if precision is None:
        return recipe
    promise = recipe.promise.model_copy(update={"aim": "precision", "route_precision": precision})
    return recipe.model_copy(update={"promise": promise})


def _read_later(bundle: Bundle, request: RecalibrateRequest) -> Checked:
    """The file's rows with a value, or None, for each field of the bundle.

    Raises:
        TicketRouterError: the file breaks the contract, is the one that the bundle learned from, lacks a field, or has
            labels that the bundle lacks.
    """
    path, space = request.file.path, bundle.manifest.label_space()
    known = [field.name for field in space]
    for name in request.fields:
        if name not in known:
            raise TicketRouterError(f"--field {name}: the bundle has no such field; it has {', '.join(known)}")
    checked = read_tickets(request.file, (DEPARTMENT, *request.fields), optional=known)
    if (learned := learned_from(request.file, [bundle.manifest.provenance.get("data", {})])) is not None:
        raise TicketRouterError(f"{learned}: the bundle learned from this very file; give tickets that came after it")
    if not request.allow_unknown:
        for field in space:
            labels = Counter(row.labels[field.name] for row in checked.rows if row.labels.get(field.name))
            unknown = {name: count for name, count in labels.items() if name not in field.labels}
            if unknown:
                named = ", ".join(f"{name} ({count})" for name, count in list(unknown.items())[:_NAMED])
                more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
                raise TicketRouterError(
                    f"{path}: {sum(unknown.values())} rows have a {field.name} that the bundle lacks: {named}{more}; "
                    "give them an alias in the labels file, train anew, or count them as wrong with --allow-unknown"
                )
    return replace(checked, rows=_filled(checked.rows, known), outside=_filled(checked.outside, known))


def _filled(rows: Sequence[Example], fields: Sequence[str]) -> tuple[Example, ...]:
    return tuple(replace(row, labels={name: row.labels.get(name) for name in fields}) for row in rows)


def _refuse_too_few(path: Path, split: Split, recipe: Recipe) -> None:
    """Refuse rows that could not carry the promise even if every answer were right."""
    promise = recipe.promise
    fewest = fewest_start(promise) if promise.aim == "precision" else FEWEST
    planned, tested = len(split["validation"]), len(split["calibration"])
    needed = max(fewest - tested, 0) + max(math.ceil(fewest * PLANNING / (1 - PLANNING)) - planned, 0)
    if needed:
        raise TicketRouterError(
            f"{path}: {planned} rows to plan and {tested} to test; a promise of {promise.route_precision:.4g} at "
            f"{promise.confidence:.4g} takes at least {fewest} to test, all of them right: {needed} rows are missing"
        )


def _notes(bundle: Bundle, split: Split) -> Iterator[str]:
    counts = f"{len(split['validation'])} plan, {len(split['calibration'])} test, {len(split['test'])} measure"
    left_out = [f"{count} {name.replace('_', ' ')}" for name, count in split.removed if count and name != "conflicting"]
    yield f"data: {counts}; left out: {', '.join(left_out) or 'none'}"
    made = datetime.fromisoformat(bundle.manifest.created_at)
    rows = [item for part in split.parts.values() for item in part]
    early = sum(row.created_at is not None and row.created_at < made for row in rows)
    if early and RECALIBRATION not in bundle.manifest.provenance:
        yield (
            f"warning: {early} of {len(rows)} rows are older than the bundle; if it learned from them, its promise "
            "does not hold"
        )


def _calibrated(bundle: Bundle, graph: Graph, parts: Mapping[str, EncodedExamples], recipe: Recipe) -> _Calibrated:
    """A graph with thresholds from these rows; a field without labels in them keeps its own."""
    model = load_graph(bundle, graph)
    outputs = {name: model.outputs(part.encodings) for name, part in parts.items()}
    planned, tested = parts["validation"], parts["calibration"]
    kept = {
        entry.name: entry
        for column, entry in enumerate(graph.entry.fields)
        if not all((part.labels[:, column] != MISSING).any() for part in (planned, tested))
    }
    space, logits = bundle.manifest.label_space(), {name: found.logits for name, found in outputs.items()}
    fields = calibrate_fields(space, parts, logits, recipe, "exact", kept)
    changes = {"fields": fields, "reference": reference_of(parts, logits, scorings_of(space, fields))}
    return _Calibrated(model, graph.entry.model_copy(update=changes), outputs)


def _variants(
    bundle: Bundle, before: Record, judged: Judged, recipe: Recipe
) -> tuple[list[_Calibrated], tuple[VariantFigures, ...]]:
    """The graphs beside fp32 that pass the gate on these rows, and the figures of all."""
    reference = Reference(
        onnx=bundle.path / bundle.fp32.entry.file,
        network=bundle.path / bundle.fp32.entry.file,
        ngrams=None,
        novelty=None,
        encoder=bundle.encoder,
        space=bundle.manifest.label_space(),
        entries=judged.entries,
        rows={part: judged.parts[part] for part in ("validation", "calibration")},
        logits=judged.logits,
        served=judged.served,
        kind="exact",
        recipe=recipe,
    )
    known = {each.file: each for each in before.variants}
    kept, figures, here = [], [], instructions()
    for graph in bundle.graphs:
        entry = graph.entry
        if entry.variant == "fp32":
            continue
        old = known[entry.file]
        if not entry.suits_processor(here):
            why = "left out: for processors with other instructions than this one's; recalibrate on one of those"
            figures.append(old.model_copy(update={"ships": False, "why": why, "promises": {}}))
            continue
        found = _calibrated(bundle, graph, judged.parts, recipe)
        logits = {part: outputs.logits for part, outputs in found.outputs.items()}
        path = bundle.path / entry.file
        figures.append(compare_graph(found.entry, old.what, path, reference, logits["validation"], logits))
        if figures[-1].ships:
            kept.append(found)
    return kept, tuple(figures)


def _write(
    bundle: Bundle,
    request: RecalibrateRequest,
    recipe: Recipe,
    record: Record,
    graphs: Sequence[_Calibrated],
    golden: Sequence[GoldenRow],
) -> Path:
    manifest, entries = bundle.manifest, graphs[0].entry.fields
    provenance = {
        **manifest.provenance,
        "recipe": recipe.model_dump(mode="json"),
        RECALIBRATION: {"of": bundle.version, "data": request.file.origin(), "code": code_revision()},
    }
    draft = {
        **manifest.model_dump(mode="json", exclude={"version", "files"}),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "models": [graph.entry for graph in graphs],
        "golden_rows": len(golden),
        "provenance": provenance,
    }
    title = f"Recalibration of bundle {bundle.version}"
    files: dict[str, bytes | Path] = {
        **{graph.entry.file: bundle.path / graph.entry.file for graph in graphs},
        "tokenizer.json": bundle.path / "tokenizer.json",
        "golden.jsonl": dump_rows(golden),
        "metrics.json": record.model_dump_json(indent=1).encode(),
        "MODEL_CARD.md": model_card(manifest.base_model, entries, record, provenance).encode(),
        "report.html": render_report(title, entries, record, provenance).encode(),
    }
    if NGRAMS in manifest.files:
        files[NGRAMS] = bundle.path / NGRAMS
    return write_bundle(request.store or bundle.path.parent, draft, files)


def _routed_share(judged: Judged, old: Graph, column: int) -> RoutedShare:
    rows = judged.scored("calibration", column).labelled
    field = judged.scorings[column].field
    right = rows.logits[:, field.slice].argmax(axis=1) == rows.labels
    scorings = old.scorings[column], judged.scorings[column]
    before, after = (outcomes_of(rows.logits, scoring) == Outcome.ROUTE for scoring in scorings)
    return RoutedShare(
        rows=len(right),
        before=float(before.mean()),
        after=float(after.mean()),
        precision_before=float(right[before].mean()) if before.any() else None,
        precision_after=float(right[after].mean()) if after.any() else None,
    )
