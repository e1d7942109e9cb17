"""Copies of a bundle with one fault: bundles that must be refused, at start and at a reload, and models that fail.

Each function takes the bundle and a store, and returns the folder of the faulty copy in that store.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from models.bundle.bundle import open_bundle
from tests.support.sealing import as_first_schema
from tests.support.tiny import MAX_TOKENS, PAD_ID, TINY, rewritten


def damaged(bundle: Path, store: Path) -> Path:
    """One bit of the graph is flipped."""
    whole = rewritten(bundle, store, base_model="to be damaged")
    graph = bytearray((whole / "model.onnx").read_bytes())
    graph[len(graph) // 2] ^= 1
    (whole / "model.onnx").write_bytes(graph)
    return whole


def changed_weights(bundle: Path, store: Path) -> Path:
    """Its digests match, and its golden rows belong to another graph."""
    return _with_embeddings(bundle, store, lambda weights: weights * np.float32(1.01))


def foreign(bundle: Path, store: Path) -> Path:
    """Trained with another release's text cleaning."""
    return rewritten(bundle, store, text_version=999)


def first_schema(bundle: Path, store: Path) -> Path:
    """Written by the release with the first manifest schema."""
    return as_first_schema(rewritten(bundle, store, base_model="of the first schema"))


def no_graph(bundle: Path, store: Path) -> Path:
    """Bytes that onnxruntime cannot load."""
    return rewritten(bundle, store, files={"model.onnx": b"no graph at all"})


def no_number_at_tilde(bundle: Path, store: Path) -> Path:
    """NaN is the embedding of `~`, a token that occurs in no golden row."""
    token = open_bundle(bundle).encode("~").ids[1]

    def spoil(weights: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        spoiled = weights.copy()
        spoiled[token] = np.nan
        return spoiled

    return _with_embeddings(bundle, store, spoil)


def too_few_positions(bundle: Path, store: Path) -> Path:
    """The graph raises for tickets that are longer than its positions, and not for golden rows, which are short."""
    return rewritten(bundle, store, encoder={"max_tokens": 4 * MAX_TOKENS, "pad_id": PAD_ID, "width": TINY.hidden})


def deleted(bundle: Path, store: Path) -> Path:
    """The folder was there and is deleted."""
    made = rewritten(bundle, store, base_model="to be deleted")
    shutil.rmtree(made)
    return made


def _with_embeddings(
    bundle: Path, store: Path, change: "Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]"
) -> Path:
    graph = onnx.load(str(bundle / "model.onnx"))
    for weight in graph.graph.initializer:
        if "word_embeddings" in weight.name:
            changed = change(numpy_helper.to_array(weight))
            weight.CopyFrom(numpy_helper.from_array(changed, weight.name))
    return rewritten(bundle, store, files={"model.onnx": graph.SerializeToString()})
