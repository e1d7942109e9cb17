"""A small sound bundle without a real network, for tests of the folder that run no graph and need no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from models.bundle.bundle import open_bundle, write_bundle
from models.bundle.manifest import SCHEMA_VERSION
from models.errors import BundleError
from models.fields import LabelSpace
from models.scoring import FieldScoring, Threshold
from models.text.prepare import TEXT_VERSION

WORDS = ("<s>", "</s>", "<pad>", "<unk>", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
PAD_ID = WORDS.index("<pad>")
SPACE = LabelSpace.of({"department": ["billing", "sales", "technical"], "priority": ["high", "low"]})


def words_tokenizer(*, special: bool = True) -> bytes:
    """A `tokenizer.json` of a few words, each its own token, between <s> and </s> unless `special` is off."""
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    if special:
        tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return tokenizer.to_str().encode()


def fields() -> list[dict[str, Any]]:
    """The calibration of a graph."""
    label = {"route": 0.9, "suggest": 0.6, "pooled": False, "calibration_rows": 70}
    return [
        {
            "name": field.name,
            "temperature": 1.5,
            "promise": {"route_precision": 0.95, "suggest_precision": 0.8, "confidence": 0.9},
            "labels": [{"name": name, **label} for name in field.labels],
        }
        for field in SPACE
    ]


def model(**changes: Any) -> dict[str, Any]:
    """The entry of a graph."""
    entry = {"variant": "fp32", "file": "model.onnx", "tolerance": 0.001, "pooled_tolerance": 0.001}
    return {**entry, "fields": fields(), **changes}


def draft(**changes: Any) -> dict[str, Any]:
    """A manifest's content without the fields that are computed from it."""
    content: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "created_at": "2026-11-22T00:00:00Z",
        "text_version": TEXT_VERSION,
        "base_model": "plain",
        "encoder": {"max_tokens": 32, "pad_id": PAD_ID, "width": 4},
        "models": [model()],
        "golden_rows": 1,
        "provenance": {"made_by": "tests"},
    }
    return content | changes


def files(**changes: bytes) -> dict[str, bytes | Path]:
    """The files of a plain bundle; `model_onnx=b"…"` and the like replace some of them."""
    content: dict[str, bytes | Path] = {
        "tokenizer.json": words_tokenizer(),
        "golden.jsonl": b'{"subject":"a","body":"b"}\n',
        "model.onnx": bytes(range(256)),
    }
    return content | {name.replace("_", ".", 1): value for name, value in changes.items()}


def plain_bundle(store: Path, content: Mapping[str, Any] | None = None) -> Path:
    return write_bundle(store, content or draft(), files())


def refusal(path: Path, key_file: Path | None = None) -> str:
    """The one line with which a bundle is refused."""
    with pytest.raises(BundleError) as caught:
        open_bundle(path, key_file)
    message = str(caught.value)
    assert message.isprintable(), "one line, and nothing a terminal would act on"
    return message


def scoring_of(number: int = 0, *, temperature: float = 1.0, threshold: Threshold | None = None) -> FieldScoring:
    """One field's scoring, every label with the same threshold."""
    field = SPACE.fields[number]
    return FieldScoring(field, temperature, (threshold or Threshold(0.9, 0.6, False),) * len(field.labels))


def logits_of(*values: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.array(values, dtype=np.float32)
