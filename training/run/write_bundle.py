"""Calibrated network → bundle: export, comparison with torch, smaller variants, record; written whole."""

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.bundle.bundle import NGRAMS, write_bundle
from models.bundle.golden import dump_rows
from models.bundle.manifest import SCHEMA_VERSION, EncoderEntry, ModelEntry
from models.errors import TicketRouterError
from models.scoring import Logits, Outputs
from models.text.prepare import TEXT_VERSION
from training.evaluation.quantization_gate import Reference, Variants, make_variants
from training.evaluation.record import Record
from training.export.golden_rows import choose_golden
from training.export.ngram_nodes import add_ngrams, ngram_graph
from training.export.novelty_nodes import add_novelty
from training.export.onnx import PARITY_TOLERANCE, POOLED_TOLERANCE, OnnxModel, check_parity, export_onnx
from training.export.provenance import lineage
from training.export.reference import reference_of
from training.registry import current_version, make_first
from training.report import render_report
from training.report.card import model_card
from training.run.calibrated import Judged, judge_learned
from training.run.metrics import record_of
from training.run.request import Say, TrainResult
from training.run.trained import Learned


@dataclass(frozen=True, slots=True)
class _Exported:
    """The fp32 graph, and the variants that ship beside it."""

    onnx: Path
    variants: Variants


def deliver(learned: Learned, say: Say, started: float) -> TrainResult:
    """All stages from the weights to the bundle; the first bundle of a store becomes its `current`.

    Raises:
        TicketRouterError: onnxruntime's answers differ from torch's, no row is suitable as a golden row, or the store
            cannot be written.
    """
    say("calibration: temperatures, thresholds and their promises")
    judged = judge_learned(learned)
    with tempfile.TemporaryDirectory(prefix="ticket-router-") as workdir:
        say("export: ONNX through optimum, held against torch on every validation row")
        onnx, network = export_onnx(learned.model, Path(workdir)), Path(workdir) / "network.onnx"
        shutil.copy(onnx, network)
        if learned.candidate.ngrams is not None:
            add_ngrams(onnx, learned.candidate.ngrams)
        add_novelty(onnx, learned.novelty)
        served = OnnxModel.load(onnx.read_bytes(), learned.encoder)
        answers = served.outputs(learned.parts["validation"].encodings)
        parity = check_parity(judged.served, answers, judged.scorings)
        reference = _reference(learned, judged, onnx, network)
        variants = make_variants(reference, Path(workdir), quick=learned.request.quick)
        exported = _Exported(onnx, variants)
        say("report: slices, behaviour, what other promises would give")
        record = record_of(learned, judged, served, parity, exported.variants.figures, started)
        folder = _write(learned, judged, exported, record)
    # The first bundle becomes current without a comparison, even if it does not beat its baseline (the user is warned),
    # because its thresholds still hold; but not if it is no use, as it routes nothing. Later bundles need `promote`.
    store, useful = learned.request.store, record.remedies is None or learned.request.allow_empty
    if useful and current_version(store) is None:
        make_first(store, folder.name)
    return TrainResult(folder, record, current_version(store) == folder.name)


def _reference(learned: Learned, judged: Judged, onnx: Path, network: Path) -> Reference:
    parts, folds = learned.parts, learned.folds

    def judge(part: str, outputs: Outputs) -> Logits:
        return outputs.logits if folds is None else folds.logits(part, outputs.pooled, parts[part].encodings)

    return Reference(
        onnx=onnx,
        network=network,
        ngrams=learned.candidate.ngrams,
        novelty=learned.novelty,
        encoder=learned.encoder,
        space=learned.material.space,
        entries=judged.entries,
        rows={part: parts[part] for part in ("validation", "calibration")},
        logits=judged.logits,
        served=judged.served,
        kind=learned.promise_kind,
        recipe=learned.request.recipe,
        judge=judge,
    )


def _write(learned: Learned, judged: Judged, exported: _Exported, record: Record) -> Path:
    request, validation = learned.request, learned.parts["validation"]
    golden = choose_golden(
        validation.examples, validation.encodings, judged.served, judged.scorings[0], exported.variants.answers
    )
    if not golden:
        raise TicketRouterError("no validation row is clear enough for a golden row; add closed tickets")
    provenance = lineage(request.file, request.recipe, learned.base)
    fp32 = ModelEntry(
        variant="fp32",
        file="model.onnx",
        tolerance=PARITY_TOLERANCE,
        pooled_tolerance=POOLED_TOLERANCE,
        fields=judged.entries,
        reference=reference_of(learned.parts, judged.logits, judged.scorings),
    )
    encoder = EncoderEntry(
        max_tokens=learned.encoder.max_tokens, pad_id=learned.encoder.pad_id, width=judged.served.pooled.shape[1]
    )
    draft = {
        "schema_version": SCHEMA_VERSION,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "text_version": TEXT_VERSION,
        "base_model": request.base,
        "encoder": encoder,
        "models": [fp32, *exported.variants.entries],
        "golden_rows": len(golden),
        "provenance": provenance,
    }
    files: dict[str, bytes | Path] = {
        "model.onnx": exported.onnx,
        **exported.variants.files,
        "tokenizer.json": learned.base / "tokenizer.json",
        "golden.jsonl": dump_rows(golden),
        "metrics.json": record.model_dump_json(indent=1).encode(),
        "MODEL_CARD.md": model_card(request.base, judged.entries, record, provenance).encode(),
        "report.html": render_report("Training report", judged.entries, record, provenance).encode(),
    }
    if learned.candidate.ngrams is not None:
        files[NGRAMS] = ngram_graph(learned.candidate.ngrams)
    return write_bundle(request.store, draft, files)
