"""What the n-grams of a hybrid bundle say, over an engine with a real graph."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle.bundle import NGRAMS, open_bundle
from models.encoding import Encoding
from models.errors import BundleError
from models.fields import DEPARTMENT
from service.explain.ngrams import contributions, ngram_phrases, phrases_of
from service.explain.phrases import words_of
from service.inference.engine import Engine
from service.inference.onnx_session import NgramTable
from tests.support.tiny import SAMPLES

TEXTS = st.text(st.sampled_from("ainvoicepladt é'-.!?\n7"), max_size=80) | st.text(max_size=80)


@given(TEXTS)
def test_phrases_are_whole_words_of_the_text(hybrid: Engine, text: str) -> None:
    said = ngram_phrases(hybrid, text, DEPARTMENT, "billing")
    assert said is not None
    words = words_of(text)
    starts, ends = {start for start, _ in words}, {end for _, end in words}
    for each in (*said.pro, *said.contra):
        assert each.span[0] in starts
        assert each.span[1] in ends
        assert each.text == text[slice(*each.span)]
    spans = sorted(each.span for each in (*said.pro, *said.contra))
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_the_table_adds_up_to_what_the_graph_adds_to_the_encoders_logits(hybrid: Engine, plain: Engine) -> None:
    """Both bundles have the same encoder; the difference of their logits is the n-grams' answer and its bias."""
    assert hybrid.ngrams is not None
    biases = []
    for subject, body in SAMPLES:
        encoding = hybrid.bundle.encode(f"{subject}\n{body}")
        batch = hybrid.bundle.encoder.batch([encoding])
        added = hybrid.sessions.run(batch)[0] - plain.sessions.run(batch)[0]
        weights = hybrid.ngrams.weights(encoding)
        biases.append(added - weights[:, :-1].sum(axis=0) / np.sqrt(max(weights[:, -1].sum(), 1)))
    np.testing.assert_allclose(biases, [biases[0]] * len(biases), atol=1e-3)


def test_contribution_is_what_is_added_to_the_label_beyond_the_other_labels_of_its_field(hybrid: Engine) -> None:
    field = hybrid.graph.scorings[1].field
    weights = np.zeros((3, 7), np.float32)
    weights[0, field.slice] = (1, 5)
    weights[:, -1] = (4, 0, 0)
    assert contributions(weights, field, field.labels[1]).tolist() == [2, 0, 0]


def test_wordpieces_of_a_word_speak_together_and_punctuation_with_its_word() -> None:
    text = "Refund, please"
    spans = (None, (0, 2), (2, 6), (6, 7), (8, 14), None)
    unigrams, pairs = [9.0, 1.0, 1.0, 5.0, -1.0, 0.0], [0.5, 0.25, 0.125, 0.0, 0.0]
    said = phrases_of(text, spans, np.array(unigrams + pairs))
    assert [(each.text, each.score) for each in said.pro] == [("Refund", 2.875)]
    assert [(each.text, each.score) for each in said.contra] == [("please", -1.0)]


def test_wordpieces_beside_the_cut_of_a_long_text_say_nothing_together() -> None:
    text = "one two three four"
    said = phrases_of(text, [(0, 3), (14, 18)], np.array([1.0, 2.0, 50.0]))
    assert [each.text for each in said.pro] == ["four", "one"]


def test_bundle_without_the_table_has_no_phrases(plain: Engine, hybrid: Engine) -> None:
    assert ngram_phrases(plain, "Invoice wrong", DEPARTMENT, "billing") is None
    assert ngram_phrases(hybrid, "Invoice wrong", DEPARTMENT, "a label of another bundle") is None


def test_table_that_is_no_graph_is_a_bundle_error() -> None:
    with pytest.raises(BundleError, match="cannot load the n-grams"):
        NgramTable(lambda: b"no graph").weights(Encoding((1,), truncated=False))


def test_bundle_with_the_table_has_the_version_of_the_same_bundle_without(hybrid: Engine) -> None:
    """It decides no answer."""
    manifest = open_bundle(hybrid.bundle.path).manifest
    files = {name: entry for name, entry in manifest.files.items() if name != NGRAMS}
    assert manifest.model_copy(update={"files": files}).expected_version() == manifest.version
