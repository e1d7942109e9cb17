"""A real but tiny RoBERTa: byte-level BPE trained here, random weights, exported to ONNX, written as a bundle.

`tiny_roberta` is also a base model to train from (`--base`); `tiny_bundle` is the bundle of service tests. Thresholds
lie between the sample tickets' own confidences, so that all three outcomes occur with any random weights.

`python -m tests.support.tiny FOLDER [--int8]` writes one as large as RoBERTa's base model, for measurements that depend
on a model's cost.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaModel, RobertaTokenizerFast

from models.bundle.bundle import NGRAMS, write_bundle
from models.bundle.golden import GoldenRow, dump_rows
from models.bundle.manifest import SCHEMA_VERSION, ModelEntry
from models.encoding import Encoder, Encoding
from models.fields import LabelSpace
from models.scoring import FieldScoring, Logits, Outputs, judge, probabilities
from models.text.prepare import TEXT_VERSION, prepare
from models.ticket import Ticket
from training.data.example import Example
from training.export.int8 import FULL, write_int8
from training.export.ngram_nodes import add_ngrams, ngram_graph
from training.export.onnx import OnnxModel, export_onnx
from training.export.reference import reference_of
from training.learn.classifier import TicketClassifier, load_classifier
from training.learn.finetune import predict_with_pooled
from training.learn.linear.ngrams import NgramModel, ngram_rows
from training.learn.rows import EncodedExamples
from training.recipe import Recipe

MAX_TOKENS = 64
VOCABULARY = 400
TOLERANCE = 1e-3
LABELS = LabelSpace.of({"department": ["billing", "technical", "sales", "returns"], "priority": ["low", "high"]})
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
PAD_ID = SPECIAL.index("<pad>")

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
    """A model's size. `vocabulary`: at least; `spread`: of the random weights; `max_tokens`: of a ticket."""

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
    )
    RobertaModel(config, add_pooling_layer=False).eval().save_pretrained(folder)
    return folder


def tiny_bundle(store: Path, size: Size = TINY, *, int8: bool = False, hybrid: bool = False) -> Path:
    """A bundle in `store` with a random model of this size and golden rows computed by torch; `int8`: with an int8
    graph for any processor beside fp32, which `--variant auto` then selects; `hybrid`: with an n-gram model, and
    without int8."""
    folder = tiny_roberta(store / "base", size)
    encoder = Encoder((folder / "tokenizer.json").read_bytes(), max_tokens=size.max_tokens, pad_id=PAD_ID)
    network = _network(folder)
    model = export_onnx(network, store)
    encodings = [encoder.encode(prepare(Ticket(subject=subject, body=body)).text) for subject, body in SAMPLES]
    outputs = predict_with_pooled(network, encoder, encodings)
    graphs: dict[str, bytes | Path] = {"model.onnx": model}
    if hybrid:
        ngrams = _ngrams(encodings)
        add_ngrams(model, ngrams)
        graphs[NGRAMS] = ngram_graph(ngrams)
        outputs = Outputs(outputs.logits + ngrams.logits(encodings), outputs.pooled)
    models = [_model("fp32", "model.onnx", outputs, outputs, encodings)]
    answers = [outputs]
    if int8:
        graphs["model.int8.onnx"] = small = store / "model.int8.onnx"
        write_int8(model, small, FULL)
        answers.append(OnnxModel.load(small.read_bytes(), encoder).outputs(encodings))
        models.append(_model("int8", "model.int8.onnx", outputs, answers[1], encodings))
    golden = _golden(encodings, answers, models)
    draft = {
        "schema_version": SCHEMA_VERSION,
        "created_at": "2026-11-22T00:00:00Z",
        "text_version": TEXT_VERSION,
        "base_model": "tiny",
        "encoder": {"max_tokens": size.max_tokens, "pad_id": PAD_ID, "width": size.hidden},
        "models": models,
        "golden_rows": len(golden),
        "provenance": {"made_by": "tests"},
    }
    files = {"tokenizer.json": folder / "tokenizer.json", "golden.jsonl": dump_rows(golden), **graphs}
    return write_bundle(store / "bundles", draft, files)


def _network(folder: Path) -> TicketClassifier:
    """The saved weights with a random head."""
    torch.manual_seed(7)
    network = load_classifier(folder, LABELS, Recipe())
    torch.nn.init.normal_(network.head.weight, std=network.config.initializer_range)
    return network.eval()


def _ngrams(encodings: Sequence[Encoding]) -> NgramModel:
    """Fitted on the samples, with labels in turn."""
    labels = np.array([[number % len(field.labels) for field in LABELS] for number in range(len(encodings))])
    rows = ngram_rows(encodings, LABELS, vocabulary=VOCABULARY, pad_id=PAD_ID, most_bytes=1_000_000)
    assert rows is not None
    return rows.fit(labels, LABELS, seed=7)


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


def _model(variant: str, file: str, expected: Outputs, found: Outputs, encodings: Sequence[Encoding]) -> dict[str, Any]:
    """A graph's manifest entry, with thresholds between its own confidences; its reference is the samples, many
    times."""
    apart, pooled_apart = (float(np.abs(one - other).max()) for one, other in zip(expected, found, strict=True))
    fields = []
    for field in LABELS:
        route, suggest = _thresholds(found.logits, FieldScoring(field, 1.0, ()))
        label = {"route": route, "suggest": suggest, "pooled": False, "calibration_rows": 100}
        fields.append(
            {
                "name": field.name,
                "temperature": 1.0,
                "promise": {
                    "route_precision": 0.95,
                    "suggest_precision": 0.8,
                    "confidence": 0.9,
                    "achieved_coverage": 0.6,
                    "achieved_precision_low": 0.95,
                },
                "labels": [{"name": each, **label} for each in field.labels],
            }
        )
    return {
        "variant": variant,
        "file": file,
        "tolerance": max(TOLERANCE, 2 * apart),
        "pooled_tolerance": max(TOLERANCE, 2 * pooled_apart),
        "fields": fields,
        "reference": tiny_reference([f"{subject}\n{body}" for subject, body in SAMPLES], encodings, found.logits, 40),
    }


def tiny_reference(
    texts: Sequence[str], encodings: Sequence[Encoding], logits: Logits, times: int = 1
) -> dict[str, Any]:
    """The reference of these texts, each of them several times."""
    examples = tuple(Example(number, Ticket(), {}, text=text) for number, text in enumerate(texts))
    rows = EncodedExamples(examples * times, tuple(encodings) * times, np.empty((0, 0), np.int64))
    none = EncodedExamples((), (), rows.labels)
    parts = {"validation": rows, "calibration": none}
    scorings = [FieldScoring(field, 1.0, ()) for field in LABELS]
    answers = {"validation": np.tile(logits, (times, 1)), "calibration": logits[:0]}
    return reference_of(parts, answers, scorings).model_dump(mode="json")


def _thresholds(logits: Logits, scoring: FieldScoring) -> tuple[float, float]:
    """Route and suggest thresholds at two thirds and one third of the samples' confidences, each between two of
    them."""
    confidences = sorted(float(probabilities(row, scoring).max()) for row in logits)
    third = len(confidences) // 3
    middle = [(low + high) / 2 for low, high in pairwise(confidences)]
    return middle[2 * third - 1], middle[third - 1]


def _golden(
    encodings: Sequence[Encoding], answers: Sequence[Outputs], models: Sequence[dict[str, Any]]
) -> list[GoldenRow]:
    """A row for each sample that gets the same verdict from every graph, with torch's outputs, which come first."""
    scorings = [ModelEntry.model_validate(model).scorings() for model in models]
    rows = []
    for number, (subject, body) in enumerate(SAMPLES):
        graphs = zip(answers, scorings, strict=True)
        verdicts = [judge(found.logits[number], scoring).department for found, scoring in graphs]
        if len({(verdict.outcome, verdict.candidates[0].label) for verdict in verdicts}) == 1:
            rows.append(
                GoldenRow(
                    subject=subject,
                    body=body,
                    content_type="text/plain",
                    ids=encodings[number].ids,
                    logits=tuple(float(value) for value in answers[0].logits[number]),
                    pooled=tuple(round(float(value), 6) for value in answers[0].pooled[number]),
                    outcome=verdicts[0].outcome,
                    label=verdicts[0].candidates[0].label,
                )
            )
    return rows


def rewritten(bundle: Path, store: Path, **changes: Any) -> Path:
    """A copy of a bundle with other manifest entries or files: `files={name: bytes}` replaces some files, `fields=…`
    the calibration of every graph."""
    draft = json.loads((bundle / "manifest.json").read_text())
    listed = draft.pop("files")
    del draft["version"]
    files: dict[str, bytes | Path] = {name: bundle / name for name in listed}
    files |= changes.pop("files", {})
    if "fields" in changes:
        fields = changes.pop("fields")
        draft["models"] = [model | {"fields": fields} for model in draft["models"]]
    return write_bundle(store, draft | changes, files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--int8", action="store_true", help="its weights in int8, as most processors are served")
    options = parser.parse_args()
    print(tiny_bundle(options.folder, BASE, int8=options.int8))
