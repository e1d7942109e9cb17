"""The n-gram model in an ONNX graph: the same logits as in training, in any batch."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.encoding import Encoder, Encoding
from models.fields import LabelSpace
from tests.support.plain import words_tokenizer
from training.export.ngram_nodes import add_ngrams, ngram_graph, read_ngrams
from training.learn.linear.ngrams import NgramModel, ngram_rows

LABELS = 3
PAD = 0
ENCODER = np.array([[1.0, 2.0, 3.0]], np.float32)


def encoder_graph(path: Path) -> Path:
    """A graph that answers ENCODER times the number of real tokens."""
    names = ("input_ids", "attention_mask")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["attention_mask"], ["tokens"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["tokens", "axis"], ["count"], keepdims=1),
            helper.make_node("Mul", ["count", "answer"], ["logits"]),
        ],
        "encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "length"]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", LABELS])],
        [numpy_helper.from_array(ENCODER, "answer"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


@pytest.fixture(scope="module")
def ngrams() -> NgramModel:
    generator = np.random.default_rng(1)
    rows = [Encoding(tuple(generator.integers(1, 12, size=6).tolist()), False) for _ in range(60)]
    space = LabelSpace.of({"department": ["a", "b", "c"]})
    labels = generator.integers(0, LABELS, size=(60, 1))
    known = ngram_rows(rows, space, vocabulary=12, pad_id=PAD, most_bytes=10**6)
    assert known is not None
    return known.fit(labels, space, seed=1)


@pytest.fixture(scope="module")
def session(ngrams: NgramModel, tmp_path_factory: pytest.TempPathFactory) -> ort.InferenceSession:
    path = encoder_graph(tmp_path_factory.mktemp("graph") / "model.onnx")
    add_ngrams(path, ngrams)
    onnx.checker.check_model(str(path), full_check=True)
    return ort.InferenceSession(str(path))


TEXTS = st.lists(st.lists(st.integers(1, 11), min_size=1, max_size=20), min_size=1, max_size=6)


@given(TEXTS)
@settings(deadline=None)
def test_the_graph_gives_the_logits_of_training(
    ngrams: NgramModel, session: ort.InferenceSession, texts: list[list[int]]
) -> None:
    """With any lengths in a batch: padding and the other rows change nothing."""
    encoder = Encoder(words_tokenizer(), max_tokens=24, pad_id=PAD)
    rows = [Encoding(tuple(ids), False) for ids in texts]
    batch = encoder.batch(rows)
    inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    served = session.run(["logits"], inputs)[0]
    lengths = np.array([[len(ids)] for ids in texts], np.float32)
    assert served == pytest.approx(ENCODER * lengths + ngrams.logits(rows), abs=1e-4)


@given(TEXTS)
@settings(deadline=None)
def test_the_table_alone_gives_the_parts_of_the_logits(ngrams: NgramModel, texts: list[list[int]]) -> None:
    table = ort.InferenceSession(ngram_graph(ngrams))
    for ids in texts:
        found = table.run(["ngrams"], {"input_ids": np.array([ids])})[0][0]
        assert found.shape == (2 * len(ids) - 1, LABELS + 1)
        sums = found.sum(axis=0)
        logits = sums[:-1] / np.sqrt(max(sums[-1], 1)) + ngrams.bias
        assert logits == pytest.approx(ngrams.logits([Encoding(tuple(ids), False)])[0], abs=1e-4)


def test_the_model_is_read_back_from_the_graph(ngrams: NgramModel, tmp_path: Path) -> None:
    """A student's teacher is available only as its graph."""
    path = encoder_graph(tmp_path / "model.onnx")
    assert read_ngrams(path.read_bytes()) is None
    add_ngrams(path, ngrams)
    found = read_ngrams(path.read_bytes())
    assert found is not None
    assert found.vocabulary == ngrams.vocabulary
    for name in ("keys", "weights", "squares", "bias"):
        assert np.array_equal(getattr(found, name), getattr(ngrams, name))
