"""Novelty: wordpieces missing in the training rows, vectors far from every label; in numpy and in the graph."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, save

from models.encoding import Encoding
from training.export.novelty_nodes import add_novelty
from training.learn.linear.novelty import Novelty, fit_novelty

PAD, FIRST, LAST = 0, 1, 2
VOCABULARY, WIDTH = 40, 3


def row(*ids: int) -> Encoding:
    return Encoding((FIRST, *ids, LAST), False)


ROWS = [row(10, 11), row(10, 12), row(10, 11, 12)]
VECTORS = np.array([[2, 0, 0], [0, 1, 0], [0, 3, 0]], np.float32)


@pytest.fixture
def novelty() -> Novelty:
    labels = np.array([0, 1, 1])
    return fit_novelty(ROWS, VECTORS, labels, vocabulary=VOCABULARY, special={PAD, FIRST, LAST})


def test_foreign_wordpieces_are_unfamiliar(novelty: Novelty) -> None:
    """The mean logarithm of the shares of rows; special tokens and the ticket's length have no influence."""
    rows = [row(10), row(10, 30), row(30, 31), row(30, 31, 32, 33)]
    known, mixed, foreign, long = novelty.scores(rows, np.ones((4, WIDTH), np.float32))[:, 0]
    assert known == pytest.approx(np.log(3.5 / 4))
    assert foreign == long == pytest.approx(np.log(0.5 / 4))
    assert mixed == pytest.approx((known + foreign) / 2)


def test_similarity_is_the_cosine_with_the_nearest_label(novelty: Novelty) -> None:
    """Vector lengths have no influence; an empty vector has a similarity of 0."""
    vectors = np.array([[5, 0, 0], [0, 0.1, 0], [1, 1, 0], [0, 0, 7], [0, 0, 0]], np.float32)
    assert novelty.scores([row(10)] * 5, vectors)[:, 1] == pytest.approx([1, 1, 2**-0.5, 0, 0], abs=1e-6)


def test_the_graph_gives_the_same_scores(novelty: Novelty, tmp_path: Path) -> None:
    """With any padding and other rows in the batch."""
    path = tmp_path / "model.onnx"
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["given_logits"], ["logits"]),
            helper.make_node("Identity", ["given"], ["pooled"]),
        ],
        "passes its inputs on",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["rows", "tokens"]),
            helper.make_tensor_value_info("given_logits", TensorProto.FLOAT, ["rows", 2]),
            helper.make_tensor_value_info("given", TensorProto.FLOAT, ["rows", WIDTH]),
        ],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2]),
            helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["rows", WIDTH]),
        ],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    add_novelty(path, novelty)
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows = [row(10, 30), row(30), row(11, 12, 10, 31)]
    ids = np.array([[*each.ids, *[PAD] * (9 - len(each.ids))] for each in rows], np.int64)
    logits = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    found = session.run(["logits"], {"input_ids": ids, "given_logits": logits, "given": VECTORS})[0]
    assert found[:, :2] == pytest.approx(logits)
    assert found[:, 2:] == pytest.approx(novelty.scores(rows, VECTORS), abs=1e-6)
