"""The n-gram model as nodes of an ONNX graph, and back: logits = the encoder's + the n-grams'.

`LabelEncoder` maps the exact keys to rows of the table; an unknown key maps to a row of zeros. onnxruntime's
`TfidfVectorizer` was no choice: its output is dense, [rows, n-grams]. `LabelEncoder` has no CUDA kernel: on a GPU
onnxruntime computes the keys on the CPU and copies one row number per token.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.learn.linear.ngrams import NgramModel

_ML = "ai.onnx.ml"
_LOGITS = "logits"
_ENCODER_LOGITS = "encoder_logits"
_TABLE, _BIAS, _VOCABULARY, _ROWS = "ngrams.table", "ngrams.bias", "ngrams.vocabulary", "ngrams.rows"


def add_ngrams(path: Path, ngrams: NgramModel) -> None:
    """Add the model to a graph with the encoder's logits alone; the nodes are fp32 in every variant.

    Args:
        path: an ONNX file with input `input_ids` [rows, tokens] and output `logits` [rows, labels]; changed in place.
        ngrams: the model, its logits scaled to the encoder's.
    """
    graph_model = onnx.load(str(path))
    graph = graph_model.graph
    for node in graph.node:
        node.input[:] = [_ENCODER_LOGITS if name == _LOGITS else name for name in node.input]
        node.output[:] = [_ENCODER_LOGITS if name == _LOGITS else name for name in node.output]
    node, axis = helper.make_node, "ngrams.tokens_axis"
    lookup = node(
        "LabelEncoder", ["ngrams.keys"], [_ROWS], domain=_ML, keys_int64s=ngrams.keys.tolist(),
        values_int64s=list(range(len(ngrams.keys))), default_int64=len(ngrams.keys),
    )  # fmt: skip
    # Keys of wordpieces and pairs → rows of the table → their sum → divided by the length norm → added.
    graph.node.extend(
        [
            node("Slice", ["input_ids", "ngrams.start", "ngrams.last", axis], ["ngrams.firsts"]),
            node("Slice", ["input_ids", "ngrams.second", "ngrams.end", axis], ["ngrams.seconds"]),
            node("Add", ["ngrams.firsts", "ngrams.one"], ["ngrams.above"]),
            node("Mul", ["ngrams.above", _VOCABULARY], ["ngrams.shifted"]),
            node("Add", ["ngrams.shifted", "ngrams.seconds"], ["ngrams.pairs"]),
            node("Concat", ["input_ids", "ngrams.pairs"], ["ngrams.keys"], axis=1),
            lookup,
            node("Gather", [_TABLE, _ROWS], ["ngrams.found"]),
            node("ReduceSum", ["ngrams.found", axis], ["ngrams.sums"], keepdims=0),
            node("Split", ["ngrams.sums", "ngrams.widths"], ["ngrams.weighted", "ngrams.squares"], axis=1),
            node("Max", ["ngrams.squares", "ngrams.unit"], ["ngrams.at_least_one"]),
            node("Sqrt", ["ngrams.at_least_one"], ["ngrams.norm"]),
            node("Div", ["ngrams.weighted", "ngrams.norm"], ["ngrams.scaled"]),
            node("Add", ["ngrams.scaled", _BIAS], ["ngrams.logits"]),
            node("Add", [_ENCODER_LOGITS, "ngrams.logits"], [_LOGITS]),
        ]
    )
    labels = len(ngrams.bias)
    known = np.concatenate([ngrams.weights, ngrams.squares[:, None]], axis=1)
    constants = {
        _TABLE: np.concatenate([known, np.zeros((1, labels + 1), np.float32)]),
        _BIAS: ngrams.bias,
        _VOCABULARY: np.int64(ngrams.vocabulary),
        "ngrams.one": np.int64(1),
        "ngrams.unit": np.float32(1),
        "ngrams.tokens_axis": np.array([1], np.int64),
        "ngrams.start": np.array([0], np.int64),
        "ngrams.second": np.array([1], np.int64),
        "ngrams.last": np.array([-1], np.int64),
        "ngrams.end": np.array([np.iinfo(np.int64).max], np.int64),
        "ngrams.widths": np.array([labels, 1], np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items())
    graph_model.opset_import.append(helper.make_opsetid(_ML, 2))
    onnx.save(graph_model, str(path))


def read_ngrams(graph_bytes: bytes) -> NgramModel | None:
    """The n-gram model of a graph written by `add_ngrams`; None if it has none."""
    graph = onnx.load_from_string(graph_bytes).graph
    stored = {each.name: each for each in graph.initializer}
    if _TABLE not in stored:
        return None
    table, bias, vocabulary = (numpy_helper.to_array(stored[name]) for name in (_TABLE, _BIAS, _VOCABULARY))
    lookup = next(node for node in graph.node if node.op_type == "LabelEncoder")
    keys = next(attribute.ints for attribute in lookup.attribute if attribute.name == "keys_int64s")
    known = table[:-1]
    return NgramModel(
        vocabulary=int(vocabulary),
        keys=np.array(keys, dtype=np.int64),
        weights=np.ascontiguousarray(known[:, :-1]),
        squares=np.ascontiguousarray(known[:, -1]),
        bias=bias.copy(),
    )
