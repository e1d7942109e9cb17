"""`training train` as a story: closed tickets in, a bundle out, or one clear error and nothing written."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import TrainerCallback

from models.bundle import point_current, write_bundle
from models.encoding import Encoder, Encoding
from models.errors import TicketRouterError
from models.fields import DEPARTMENT, LabelSpace
from models.golden import dump_rows
from models.manifest import (
    SCHEMA_VERSION,
    EncoderEntry,
    FieldEntry,
    ModelEntry,
    scorings_of,
)
from models.scoring import FieldScoring, Logits
from models.text import TEXT_VERSION
from training.certainty.calibrate import calibrate_field
from training.data.contract import check_table, raise_faults
from training.data.split import MISSING, PARTS, PreparedRow, Split, label_numbers, split_rows
from training.data.table import read_table
from training.deliver.card import model_card
from training.deliver.export import PARITY_TOLERANCE, OnnxModel, Parity, check_parity, export_onnx
from training.deliver.golden_rows import choose_golden
from training.deliver.lineage import lineage
from training.learn.base import resolve_base
from training.learn.classifier import TicketClassifier, load_classifier, load_encoder, seeded
from training.learn.finetune import EncodedRows, finetune, predict
from training.measure.baseline import BaselineFigures, baseline_figures, train_baseline
from training.measure.metrics import UNKNOWN, FieldFigures, field_figures
from training.recipe import Recipe
from training.report import render_report

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """What the command line asks for."""

    data: Path
    recipe: Recipe
    base: str
    store: Path
    fields: tuple[str, ...] = (DEPARTMENT,)
    columns: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The bundle's folder, and its figures as `metrics.json` holds them."""

    bundle: Path
    metrics: Mapping[str, Any]
    is_current: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of the rows as the network sees it; labels [rows, fields], MISSING where a row has none."""

    rows: tuple[PreparedRow, ...]
    encodings: tuple[Encoding, ...]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Judged:
    """The finished model's calibration, and its logits on each part that has rows."""

    entries: tuple[FieldEntry, ...]
    scorings: tuple[FieldScoring, ...]
    logits: Mapping[str, Logits]


def train(request: TrainRequest, say: Say, callbacks: Sequence[TrainerCallback] = ()) -> TrainResult:
    """Train a bundle and write it into the store; the first of a store becomes its `current`.

    Raises:
        TicketRouterError: anything the user can mend; nothing is left half-written.
    """
    refuse_unwritable(request.store)
    split = _read(request, say)
    base = resolve_base(request.base)  # after the table: a mistake there should not wait for a download
    space = _label_space(split["train"], request.fields)
    seeded(request.recipe.seed)
    model = load_classifier(base, space, request.recipe)
    encoder = load_encoder(base, model.config, request.recipe)
    # The test's labels that training never saw count as wrong, as they do in `evaluate`; elsewhere they are masked.
    parts = {part: _encode(split[part], encoder, space, UNKNOWN if part == "test" else MISSING) for part in PARTS}
    say(f"baseline: TF-IDF and a linear model on {len(parts['train'].rows)} rows")
    baseline = _baseline(parts, space, request.recipe.seed)
    say(f"encoder: fine-tuning {request.base}, up to {request.recipe.epochs} epochs")
    with tempfile.TemporaryDirectory(prefix="ticket-router-") as workdir:
        epochs = finetune(
            model,
            encoder,
            space,
            EncodedRows(parts["train"].encodings, parts["train"].labels),
            EncodedRows(parts["validation"].encodings, parts["validation"].labels),
            request.recipe,
            Path(workdir) / "checkpoints",
            callbacks,
        )
        judged = _judge(model, encoder, parts, space, request.recipe)
        say("export: ONNX through optimum, held against torch on every validation row")
        onnx = export_onnx(model, Path(workdir))
        parity = _parity(onnx, encoder, parts["validation"], judged)
        metrics = _metrics(split, parts, judged, baseline, epochs, parity)
        return _write(request, base, encoder, parts["validation"], judged, metrics, onnx)


def refuse_unwritable(store: Path) -> None:
    """Notice before training, not after it, that the bundle has no place to go.

    Raises:
        TicketRouterError: the store, or where it would be made, is no folder or may not be written.
    """
    place = next(path for path in (store, *store.absolute().parents) if path.exists() or path.is_symlink())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise TicketRouterError(f"--out {store}: cannot be written; choose another folder")


def _read(request: TrainRequest, say: Say) -> Split:
    table = read_table(request.data)
    checked = check_table(table, request.fields, request.columns or {})
    raise_faults(table, checked.faults)
    split = split_rows(checked.rows, request.recipe.split, request.recipe.seed)
    counts = ", ".join(f"{len(split[part])} {part}" for part in PARTS)
    say(f"data: {counts}; left out: {split.removed.duplicates} repeated, {split.removed.empty} empty")
    return split


def _label_space(rows: Sequence[PreparedRow], fields: Sequence[str]) -> LabelSpace:
    values = {field: sorted({label for row in rows if (label := row.row.labels[field])}) for field in fields}
    for field, labels in values.items():
        if len(labels) < 2:
            raise TicketRouterError(f"field {field} has {len(labels)} value(s) in the training rows; it needs two")
    return LabelSpace.of(values)


def _encode(rows: tuple[PreparedRow, ...], encoder: Encoder, space: LabelSpace, unknown: int) -> _Part:
    labels = np.stack([label_numbers(rows, field, unknown) for field in space], axis=1)
    return _Part(rows, tuple(encoder.encode(row.text) for row in rows), labels)


def _baseline(parts: Mapping[str, _Part], space: LabelSpace, seed: int) -> dict[str, dict[str, BaselineFigures]]:
    """The baseline's figures by field and part."""
    result: dict[str, dict[str, BaselineFigures]] = {}
    for column, field in enumerate(space):
        texts, labels = _labelled(parts["train"], column, field.name)
        model = train_baseline(texts, labels, seed)
        measured = {part: _labelled(parts[part], column, field.name) for part in ("validation", "test")}
        result[field.name] = {part: baseline_figures(model, *rows) for part, rows in measured.items() if rows[0]}
    return result


def _labelled(part: _Part, column: int, field: str) -> tuple[list[str], list[str]]:
    """Texts and labels of the very rows the encoder learns from or is measured on."""
    rows = [row for row, number in zip(part.rows, part.labels[:, column], strict=True) if number != MISSING]
    return [row.text for row in rows], [str(row.row.labels[field]) for row in rows]


def _judge(
    model: TicketClassifier, encoder: Encoder, parts: Mapping[str, _Part], space: LabelSpace, recipe: Recipe
) -> _Judged:
    measured = {name: part for name, part in parts.items() if name != "train" and part.rows}
    logits = {name: predict(model, encoder, part.encodings) for name, part in measured.items()}
    calibration = parts["calibration"].labels
    entries = tuple(
        calibrate_field(field, logits["calibration"], calibration[:, column], recipe.promise)
        for column, field in enumerate(space)
    )
    return _Judged(entries, scorings_of(space, entries), logits)


def _parity(onnx: Path, encoder: Encoder, validation: _Part, judged: _Judged) -> Parity:
    served = OnnxModel.load(onnx.read_bytes(), encoder).logits(validation.encodings)
    return check_parity(judged.logits["validation"], served, judged.scorings)


def _metrics(
    split: Split,
    parts: Mapping[str, _Part],
    judged: _Judged,
    baseline: Mapping[str, Mapping[str, BaselineFigures]],
    epochs: Sequence[Mapping[str, float]],
    parity: Parity,
) -> dict[str, Any]:
    figures = _figures(parts, judged)
    department = figures[DEPARTMENT]["validation"]
    return {
        "rows": {part: len(split[part]) for part in PARTS},
        "removed": {"empty": split.removed.empty, "duplicates": split.removed.duplicates,
                    "conflicting": split.removed.conflicting},
        "epochs": [{"epoch": entry["epoch"], "macro_f1": entry["eval_macro_f1"]} for entry in epochs],
        "baseline": {field: {part: value.model_dump() for part, value in by_part.items()}
                     for field, by_part in baseline.items()},
        "encoder": {field: {part: value.model_dump(mode="json") for part, value in by_part.items()}
                    for field, by_part in figures.items()},
        "beats_baseline": department.macro_f1 > baseline[DEPARTMENT]["validation"].macro_f1,
        "parity": parity.model_dump(),
    }  # fmt: skip


def _figures(parts: Mapping[str, _Part], judged: _Judged) -> dict[str, dict[str, FieldFigures]]:
    """The encoder's figures by field and part."""
    return {
        scoring.field.name: {
            name: found
            for name, logits in judged.logits.items()
            if (found := field_figures(logits, parts[name].labels[:, column], scoring)) is not None
        }
        for column, scoring in enumerate(judged.scorings)
    }


def _write(
    request: TrainRequest,
    base: Path,
    encoder: Encoder,
    validation: _Part,
    judged: _Judged,
    metrics: Mapping[str, Any],
    onnx: Path,
) -> TrainResult:
    golden = choose_golden(validation.rows, validation.encodings, judged.logits["validation"], judged.scorings)
    if not golden:
        raise TicketRouterError("no validation row is clear enough for a golden row; add closed tickets")
    draft = {
        "schema_version": SCHEMA_VERSION,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "text_version": TEXT_VERSION,
        "base_model": request.base,
        "encoder": EncoderEntry(max_tokens=encoder.max_tokens, pad_id=encoder.pad_id),
        "fields": judged.entries,
        "models": [ModelEntry(variant="fp32", file="model.onnx", tolerance=PARITY_TOLERANCE)],
        "golden_rows": len(golden),
        "provenance": lineage(request.data, request.recipe),
    }
    files: dict[str, bytes | Path] = {
        "model.onnx": onnx,
        "tokenizer.json": base / "tokenizer.json",
        "golden.jsonl": dump_rows(golden),
        "metrics.json": json.dumps(metrics, indent=1, ensure_ascii=False).encode(),
        "MODEL_CARD.md": model_card(request.base, judged.entries, metrics).encode(),
        "report.html": render_report("Training report", judged.entries, _shown(metrics), metrics).encode(),
    }
    folder = write_bundle(request.store, draft, files)
    return TrainResult(folder, metrics, _serves(request.store, folder.name))


def _shown(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """Each field's figures on the test rows, or on the validation rows where the file has no test, if it has either."""
    return {
        field: by_part[part]
        for field, by_part in metrics["encoder"].items()
        if (part := "test" if "test" in by_part else "validation") in by_part
    }


def _serves(store: Path, version: str) -> bool:
    """Whether this bundle is the store's current one. With nothing to compare it with, the first one becomes it, even
    when it does not beat its baseline (the user is warned): its thresholds hold all the same. Later ones are promoted.
    """
    if (store / "current").exists():
        return (store / "current").resolve().name == version
    point_current(store, version)
    return True
