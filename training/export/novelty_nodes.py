"""The novelty scores as nodes of an ONNX graph: `logits` = the labels' logits, familiarity, similarity."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.learn.linear.novelty import SMALLEST_LENGTH, Novelty

_SHARES, _CENTRES = "novelty.shares", "novelty.centres"
_LOGITS = "logits"
_LABELS = "label_logits"


def add_novelty(path: Path, novelty: Novelty) -> None:
    """Add the scores behind the logits of a graph; the nodes are fp32 in every variant.

    Args:
        path: an ONNX file with input `input_ids` [rows, tokens] and outputs `logits` [rows, labels] and `pooled` [rows,
            width]; changed in place.
        novelty: the scores' tables.
    """
    graph_model = onnx.load(str(path))
    graph = graph_model.graph
    for each in graph.node:
        each.input[:] = [_LABELS if name == _LOGITS else name for name in each.input]
        each.output[:] = [_LABELS if name == _LOGITS else name for name in each.output]
    node = helper.make_node
    graph.node.extend(
        [
            node("Gather", [_SHARES, "input_ids"], ["novelty.found"]),
            node("ReduceSum", ["novelty.found", "novelty.tokens_axis"], ["novelty.sums"], keepdims=0),
            node("Split", ["novelty.sums", "novelty.widths"], ["novelty.total", "novelty.counted"], axis=1),
            node("Max", ["novelty.counted", "novelty.one"], ["novelty.at_least_one"]),
            node("Div", ["novelty.total", "novelty.at_least_one"], ["novelty.familiarity"]),
            node("ReduceL2", ["pooled", "novelty.last_axis"], ["novelty.length"], keepdims=1),
            node("Max", ["novelty.length", "novelty.least"], ["novelty.some_length"]),
            node("Div", ["pooled", "novelty.some_length"], ["novelty.unit"]),
            node("MatMul", ["novelty.unit", _CENTRES], ["novelty.cosines"]),
            node("ReduceMax", ["novelty.cosines", "novelty.last_axis"], ["novelty.similarity"], keepdims=1),
            node("Concat", [_LABELS, "novelty.familiarity", "novelty.similarity"], [_LOGITS], axis=1),
        ]
    )
    constants = {
        _SHARES: novelty.shares,
        _CENTRES: np.ascontiguousarray(novelty.centres.T),
        "novelty.tokens_axis": np.array([1], np.int64),
        "novelty.last_axis": np.array([-1], np.int64),
        "novelty.widths": np.array([1, 1], np.int64),
        "novelty.one": np.float32(1),
        "novelty.least": np.float32(SMALLEST_LENGTH),
    }
    graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items())
    width = next(output for output in graph.output if output.name == _LOGITS).type.tensor_type.shape.dim[1]
    if width.HasField("dim_value"):
        width.dim_value += 2
    onnx.save(graph_model, str(path))


def read_novelty(graph_bytes: bytes) -> Novelty | None:
    """The scores' tables of a graph written by `add_novelty`; None if it has none."""
    stored = {each.name: each for each in onnx.load_from_string(graph_bytes).graph.initializer}
    if _SHARES not in stored:
        return None
    shares, centres = (numpy_helper.to_array(stored[name]) for name in (_SHARES, _CENTRES))
    return Novelty(shares.copy(), np.ascontiguousarray(centres.T))
