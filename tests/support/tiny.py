"""A real RoBERTa, only tiny: byte-level BPE trained here, random weights, exported to ONNX, written as a bundle.

`tiny_roberta` is also a base model to train from (`--base`); `tiny_bundle` is what service tests serve. Thresholds are
laid between the sample tickets' own confidences, so that all three outcomes occur whatever the random weights say.

`python -m tests.support.tiny FOLDER [--int8]` writes one as large as RoBERTa's base model, for what depends on a
model's cost.
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from optimum.exporters.onnx import main_export
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaForSequenceClassification, RobertaTokenizerFast

from models.bundle.bundle import write_bundle
from models.bundle.golden import GoldenRow, dump_rows
from models.encoding import Encoder
from models.fields import LabelSpace
from models.scoring import FieldScoring, Threshold, judge, probabilities
from models.text.prepare import TEXT_VERSION, prepare
from models.ticket import Ticket
from training.export.int8 import FULL, write_int8
from training.export.onnx import OnnxModel

MAX_TOKENS = 64
VOCABULARY = 400
TOLERANCE = 1e-3
LABELS = LabelSpace.of({"department": ["billing", "technical", "sales", "returns"], "priority": ["low", "high"]})
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")

SAMPLES = (
    ("Invoice wrong", "I was charged twice for the same month, please refund the second payment."),
    ("Cannot log in", "The application says my password is wrong although I reset it this morning."),
    ("Offer", "We are a team of forty and would like a quote for the yearly plan."),
    ("Broken on arrival", "The box was open and the lamp inside is in pieces. I want to send it back."),
    ("Where is my parcel?", "It was promised for Tuesday."),
    ("", "hello"),
    ("Crash", "Since the update the program closes itself whenever I open the settings page."),
    ("Discount", "Is there a price for schools?"),
    ("Receipt", "Please send the receipt for order 1234 to our accounting."),
    ("Return label", "The label you sent cannot be printed."),
    ("Error 500", "The export fails with an internal error after a minute or so."),
    ("Upgrade", "How do we get from the small plan to the large one before the next invoice?"),
)


@dataclass(frozen=True)
class Size:
    """Of a model. `vocabulary`: at least; `spread`: of the random weights; `max_tokens`: of a ticket."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    spread: float
    max_tokens: int


TINY = Size(32, 2, 2, 64, 0, 0.5, MAX_TOKENS)
BASE = Size(768, 12, 12, 3072, 50_265, 0.02, 256)


def tiny_roberta(folder: Path, size: Size = TINY) -> Path:
    """A saved Hugging Face folder (config, weights, tokenizer.json) with random weights."""
    tokenizer = _tokenizer(folder)
    torch.manual_seed(7)
    config = RobertaConfig(
        vocab_size=max(len(tokenizer), size.vocabulary),
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.intermediate,
        max_position_embeddings=size.max_tokens + 2,  # RoBERTa counts positions from the padding id up
        initializer_range=size.spread,
        id2label=dict(enumerate(LABELS.flat_labels)),
        label2id={label: number for number, label in enumerate(LABELS.flat_labels)},
    )
    RobertaForSequenceClassification(config).eval().save_pretrained(folder)
    return folder


def tiny_bundle(store: Path, size: Size = TINY, *, int8: bool = False) -> Path:
    """A bundle in `store` around a random model of this size, its golden rows computed by torch; in int8 by itself."""
    folder = tiny_roberta(store / "base", size)
    graph = store / "graph"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's tracing warnings are for its own developers
        main_export(str(folder), output=str(graph), task="text-classification", do_validation=False)
    tokenizer_json = (folder / "tokenizer.json").read_bytes()
    encoder = Encoder(tokenizer_json, max_tokens=size.max_tokens, pad_id=SPECIAL.index("<pad>"))
    model = graph / "model.onnx"
    if int8:
        source, model = model, graph / "model.int8.onnx"
        write_int8(source, model, FULL)
        logits = _graph_logits(model, encoder, SAMPLES)
    else:
        logits = _torch_logits(folder, encoder, SAMPLES)
    thresholds = {field.name: _thresholds(logits, FieldScoring(field, 1.0, ())) for field in LABELS}
    files = {
        "tokenizer.json": tokenizer_json,
        "golden.jsonl": dump_rows(_golden(encoder, logits, thresholds)),
        "model.onnx": model,
    }
    return write_bundle(store / "bundles", _draft(thresholds, size.max_tokens, "int8" if int8 else "fp32"), files)


def _tokenizer(folder: Path) -> RobertaTokenizerFast:
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    texts = [f"{subject}\n{body}" for subject, body in SAMPLES]
    trained.train_from_iterator(texts, vocab_size=VOCABULARY, special_tokens=list(SPECIAL), show_progress=False)
    trained.save_model(str(folder))
    tokenizer = RobertaTokenizerFast(
        vocab_file=str(folder / "vocab.json"), merges_file=str(folder / "merges.txt"), model_max_length=MAX_TOKENS
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def _torch_logits(folder: Path, encoder: Encoder, samples: Sequence[tuple[str, str]]) -> list[Any]:
    model = RobertaForSequenceClassification.from_pretrained(folder).eval()
    rows = []
    for subject, body in samples:
        batch = encoder.batch([encoder.encode(prepare(Ticket(subject=subject, body=body)).text)])
        with torch.no_grad():
            output = model(torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask))
        rows.append(output.logits[0].numpy())
    return rows


def _graph_logits(model: Path, encoder: Encoder, samples: Sequence[tuple[str, str]]) -> list[Any]:
    encodings = [encoder.encode(prepare(Ticket(subject=subject, body=body)).text) for subject, body in samples]
    return list(OnnxModel.load(model.read_bytes(), encoder).logits(encodings))


def _thresholds(logits: Sequence[Any], scoring: FieldScoring) -> tuple[float, float]:
    """Route and suggest thresholds at two thirds and one third of the samples' confidences, between two of them."""
    confidences = sorted(float(probabilities(row, scoring).max()) for row in logits)
    third = len(confidences) // 3
    middle = [(low + high) / 2 for low, high in pairwise(confidences)]
    return middle[2 * third - 1], middle[third - 1]


def _golden(encoder: Encoder, logits: Sequence[Any], thresholds: dict[str, tuple[float, float]]) -> list[GoldenRow]:
    scorings = [
        FieldScoring(field, 1.0, (Threshold(*thresholds[field.name], pooled=False),) * len(field.labels))
        for field in LABELS
    ]
    rows = []
    for (subject, body), row in zip(SAMPLES, logits, strict=True):
        verdict = judge(np.asarray(row, dtype=np.float32), scorings).department
        ids = encoder.encode(prepare(Ticket(subject=subject, body=body)).text).ids
        rows.append(
            GoldenRow(
                subject=subject,
                body=body,
                content_type="text/plain",
                ids=ids,
                logits=tuple(float(value) for value in row),
                outcome=verdict.outcome,
                label=verdict.candidates[0].label,
            )
        )
    return rows


def _draft(thresholds: dict[str, tuple[float, float]], max_tokens: int, variant: str) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "created_at": "2026-11-22T00:00:00Z",
        "text_version": TEXT_VERSION,
        "base_model": "tiny",
        "encoder": {"max_tokens": max_tokens, "pad_id": SPECIAL.index("<pad>")},
        "fields": [_field_entry(name, labels, *thresholds[name]) for name, labels in _catalogues()],
        "models": [{"variant": variant, "file": "model.onnx", "tolerance": TOLERANCE}],
        "golden_rows": len(SAMPLES),
        "provenance": {"made_by": "tests"},
    }


def _catalogues() -> list[tuple[str, tuple[str, ...]]]:
    return [(field.name, field.labels) for field in LABELS]


def _field_entry(name: str, labels: tuple[str, ...], route: float, suggest: float) -> dict[str, Any]:
    label = {"route": route, "suggest": suggest, "pooled": False, "calibration_rows": 100}
    return {
        "name": name,
        "temperature": 1.0,
        "promise": {"route_precision": 0.95, "suggest_precision": 0.8, "confidence": 0.9},
        "labels": [{"name": each, **label} for each in labels],
    }


def rewritten(bundle: Path, store: Path, **changes: Any) -> Path:
    """A copy of a bundle with other manifest entries or files: `files={name: bytes}` replaces some of them."""
    draft = json.loads((bundle / "manifest.json").read_text())
    listed = draft.pop("files")
    del draft["version"]
    files: dict[str, bytes | Path] = {name: bundle / name for name in listed}
    files |= changes.pop("files", {})
    return write_bundle(store, draft | changes, files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--int8", action="store_true", help="its weights in int8, as most processors are served")
    options = parser.parse_args()
    print(tiny_bundle(options.folder, BASE, int8=options.int8))
