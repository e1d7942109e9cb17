"""The n-gram model as nodes of an ONNX graph, and back: logits = the encoder's + the n-grams'.

`LabelEncoder` maps the exact keys to rows of the table; an unknown key maps to a row of zeros. onnxruntime's
`TfidfVectorizer` was no choice: its output is dense, [rows, n-grams]. `LabelEncoder` has no CUDA kernel: on a GPU
onnxruntime computes the keys on the CPU and copies one row number per token.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.export.onnx import OPSET
from training.learn.linear.ngrams import NgramModel

_ML = "ai.onnx.ml"
IR_VERSION = 9
"""What onnxruntime reads since 1.16."""
_LOGITS = "logits"
_ENCODER_LOGITS = "encoder_logits"
_TABLE, _BIAS, _VOCABULARY, _ROWS = "ngrams.table", "ngrams.bias", "ngrams.vocabulary", "ngrams.rows"
_FOUND, _AXIS = "ngrams.found", "ngrams.tokens_axis"


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
    node = helper.make_node
    # The rows' sum → divided by the length norm → added.
    graph.node.extend(
        [
            *_lookup(ngrams),
            node("ReduceSum", [_FOUND, _AXIS], ["ngrams.sums"], keepdims=0),
            node("Split", ["ngrams.sums", "ngrams.widths"], ["ngrams.weighted", "ngrams.squares"], axis=1),
            node("Max", ["ngrams.squares", "ngrams.unit"], ["ngrams.at_least_one"]),
            node("Sqrt", ["ngrams.at_least_one"], ["ngrams.norm"]),
            node("Div", ["ngrams.weighted", "ngrams.norm"], ["ngrams.scaled"]),
            node("Add", ["ngrams.scaled", _BIAS], ["ngrams.logits"]),
            node("Add", [_ENCODER_LOGITS, "ngrams.logits"], [_LOGITS]),
        ]
    )
    constants = {
        _BIAS: ngrams.bias,
        "ngrams.unit": np.float32(1),
        "ngrams.widths": np.array([len(ngrams.bias), 1], np.int64),
    }
    graph.initializer.extend([*_tables(ngrams), *_initializers(constants)])
    graph_model.opset_import.append(helper.make_opsetid(_ML, 2))
    onnx.save(graph_model, str(path))


def ngram_graph(ngrams: NgramModel) -> bytes:
    """The lookup alone as a graph, for explanations: `input_ids` [rows, tokens] → `ngrams` [rows, 2 x tokens - 1,
    labels + 1], the weights of each wordpiece, then of each pair, and their idf².

    As an output of the served graph it would cost a whole run: onnxruntime runs all nodes whatever is fetched.
    """
    graph = helper.make_graph(
        [*_lookup(ngrams), helper.make_node("Identity", [_FOUND], ["ngrams"])],
        "ngrams",
        [helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["rows", "tokens"])],
        [helper.make_tensor_value_info("ngrams", onnx.TensorProto.FLOAT, ["rows", "ngrams", len(ngrams.bias) + 1])],
        _tables(ngrams),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(_ML, 2)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString())


def _lookup(ngrams: NgramModel) -> list[Any]:
    """Keys of wordpieces and pairs → rows of the table, [rows, n-grams, labels + 1]."""
    node = helper.make_node
    table = node(
        "LabelEncoder", ["ngrams.keys"], [_ROWS], domain=_ML, keys_int64s=ngrams.keys.tolist(),
        values_int64s=list(range(len(ngrams.keys))), default_int64=len(ngrams.keys),
    )  # fmt: skip
    return [
        node("Slice", ["input_ids", "ngrams.start", "ngrams.last", _AXIS], ["ngrams.firsts"]),
        node("Slice", ["input_ids", "ngrams.second", "ngrams.end", _AXIS], ["ngrams.seconds"]),
        node("Add", ["ngrams.firsts", "ngrams.one"], ["ngrams.above"]),
        node("Mul", ["ngrams.above", _VOCABULARY], ["ngrams.shifted"]),
        node("Add", ["ngrams.shifted", "ngrams.seconds"], ["ngrams.pairs"]),
        node("Concat", ["input_ids", "ngrams.pairs"], ["ngrams.keys"], axis=1),
        table,
        node("Gather", [_TABLE, _ROWS], [_FOUND]),
    ]


def _tables(ngrams: NgramModel) -> list[Any]:
    known = np.concatenate([ngrams.weights, ngrams.squares[:, None]], axis=1)
    constants = {
        _TABLE: np.concatenate([known, np.zeros((1, known.shape[1]), np.float32)]),
        _VOCABULARY: np.int64(ngrams.vocabulary),
        _AXIS: np.array([1], np.int64),
        "ngrams.one": np.int64(1),
        "ngrams.start": np.array([0], np.int64),
        "ngrams.second": np.array([1], np.int64),
        "ngrams.last": np.array([-1], np.int64),
        "ngrams.end": np.array([np.iinfo(np.int64).max], np.int64),
    }
    return _initializers(constants)


def _initializers(constants: Mapping[str, Any]) -> list[Any]:
    return [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]


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
