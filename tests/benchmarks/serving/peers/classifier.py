"""Raw texts → label and confidence, as every peer computes them: the bundle's graph and tokenizer, our session options.

Runs in the peers' environments, so it needs only numpy, onnxruntime and tokenizers. Its configuration comes from the
environment, since most frameworks start their own processes.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer

BUNDLE = "BENCH_BUNDLE"
THREADS = "BENCH_THREADS"
"""Threads of one run, onnxruntime's intra-op."""
WORKERS = "BENCH_WORKERS"
"""Processes that each hold a model."""


@dataclass(frozen=True)
class Classifier:
    """One loaded model. `classify` may be called from several threads at once."""

    session: ort.InferenceSession
    tokenizer: Tokenizer
    labels: tuple[str, ...]

    @classmethod
    def from_environment(cls) -> "Classifier":
        bundle = Path(os.environ[BUNDLE])
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        graph = next(model["file"] for model in manifest["models"] if model["variant"] == "fp32")
        tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
        tokenizer.enable_truncation(manifest["encoder"]["max_tokens"])
        tokenizer.enable_padding(pad_id=manifest["encoder"]["pad_id"])  # to the longest of a batch
        labels = tuple(label["name"] for label in manifest["models"][0]["fields"][0]["labels"])
        return cls(open_session(bundle / graph, int(os.environ[THREADS])), tokenizer, labels)

    def classify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        """Each text's most likely label of the first field, with its probability."""
        encodings = self.tokenizer.encode_batch(list(texts))
        feed = {
            "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
        }
        if any(node.name == "token_type_ids" for node in self.session.get_inputs()):
            feed["token_type_ids"] = np.zeros_like(feed["input_ids"])
        logits = self.session.run(["logits"], feed)[0][:, : len(self.labels)]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances = powers / powers.sum(axis=1, keepdims=True)
        best = chances.argmax(axis=1)
        return [(self.labels[label], float(row[label])) for label, row in zip(best, chances, strict=True)]


def open_session(graph: Path, threads: int) -> ort.InferenceSession:
    return ort.InferenceSession(str(graph), session_options(threads), providers=["CPUExecutionProvider"])


def session_options(threads: int) -> ort.SessionOptions:
    """The options of our service: no spinning, no memory patterns for shapes that don't recur."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
