"""The n-gram model: TF-IDF of wordpieces and pairs of them, linear, and independent of padding."""

import numpy as np
import pytest

from models.encoding import Encoding
from models.fields import LabelSpace
from training.data.prepared import MISSING
from training.learn.linear.ngrams import NgramModel, mean_ngrams, ngram_keys, ngram_rows

VOCABULARY = 50
PAD, FIRST, LAST = 0, 1, 2
SPACE = LabelSpace.of({"department": ["a", "b", "c"], "priority": ["high", "low"]})


def row(*ids: int) -> Encoding:
    return Encoding((FIRST, *ids, LAST), False)


ROWS = [row(10 + label, 20, 30 + label) for label in (0, 1, 2)] * 4
LABELS = np.array([[label, int(label == 0)] for label in (0, 1, 2)] * 4, dtype=np.int64)


def fitted(rows: list[Encoding] = ROWS, labels: np.ndarray = LABELS, most_bytes: int = 10**6) -> NgramModel:
    known = ngram_rows(rows, SPACE, vocabulary=VOCABULARY, pad_id=PAD, most_bytes=most_bytes)
    assert known is not None
    return known.fit(labels, SPACE, seed=1)


def test_each_field_finds_its_labels() -> None:
    """A field of three labels and one of two share the table; a word in every row is uninformative."""
    logits = fitted().logits(ROWS)
    assert logits.shape == (12, 5)
    assert (logits[:, SPACE.fields[0].slice].argmax(axis=1) == LABELS[:, 0]).all()
    assert (logits[:, SPACE.fields[1].slice].argmax(axis=1) == LABELS[:, 1]).all()
    assert 20 not in fitted().keys


def test_the_logits_are_those_of_tf_idf() -> None:
    """The sum of weights over n-grams, divided by the root of the sum of squared idf, plus the bias."""
    model = fitted()
    places = [list(model.keys).index(key) for key in ngram_keys(ROWS[0], VOCABULARY) if key in model.keys]
    expected = model.weights[places].sum(axis=0) / np.sqrt(model.squares[places].sum()) + model.bias
    assert model.logits(ROWS[:1])[0] == pytest.approx(expected, abs=1e-6)
    idf = np.log((1 + 12) / (1 + 4)) + 1
    assert model.squares == pytest.approx(np.full(len(model.keys), idf**2))


def test_a_text_without_a_known_ngram_gets_the_bias() -> None:
    model = fitted()
    assert model.logits([row(40, 41)])[0] == pytest.approx(model.bias)


def test_a_row_of_weight_0_does_not_train() -> None:
    """Such rows with a wrong label change no answer."""
    wrong = np.concatenate([LABELS, np.roll(LABELS, 1, axis=0)])
    weights = np.array([1.0] * 12 + [0.0] * 12, dtype=np.float32)
    known = ngram_rows([*ROWS, *ROWS], SPACE, vocabulary=VOCABULARY, pad_id=PAD, most_bytes=10**6)
    assert known is not None
    model = known.fit(wrong, SPACE, seed=1, row_weights=weights)
    assert model.logits(ROWS) == pytest.approx(fitted().logits(ROWS), abs=0.05)


def test_pairs_are_ordered() -> None:
    """The pair (first, second) has another key than (second, first), and than any wordpiece."""
    keys = {*ngram_keys(row(10, 11), VOCABULARY).tolist()}
    assert keys & {*ngram_keys(row(11, 10), VOCABULARY).tolist()} == {FIRST, 10, 11, LAST}
    assert len(keys) == 4 + 3


def test_ngrams_of_the_padding_token_are_unknown() -> None:
    """Even if texts contain it, since in a batch it follows every shorter row."""
    rows = [row(10 + label, PAD, 30 + label) for label in (0, 1, 2)] * 4
    keys = fitted(rows).keys
    assert not any(PAD in (key % VOCABULARY, key // VOCABULARY - 1) for key in keys.tolist())


def test_rows_without_a_label_do_not_count() -> None:
    """They may add n-grams, but do not train."""
    labels = LABELS.copy()
    labels[:3] = (1, MISSING)
    labels[:3, 0] = MISSING
    logits = fitted(labels=labels).logits(ROWS)
    assert (logits[:, :3].argmax(axis=1) == LABELS[:, 0]).all()


def test_texts_without_common_ngrams_give_no_model() -> None:
    rows = [Encoding((10 + n,), False) for n in range(12)]
    assert ngram_rows(rows, SPACE, vocabulary=VOCABULARY, pad_id=PAD, most_bytes=10**6) is None


def test_the_table_keeps_its_limit_and_the_most_frequent_ngrams() -> None:
    rows = [*ROWS, *[row(10, 20, 30)] * 4]
    labels = np.concatenate([LABELS, LABELS[[0, 0, 0, 0]]])
    model = fitted(rows, labels, most_bytes=5 * (4 * 6 + 8))
    assert len(model.keys) == 5
    assert {10, 30} <= set(model.keys.tolist())


def test_scaled_multiplies_the_logits() -> None:
    """Per label, so a field can be left out."""
    factors = np.array([2, 2, 2, 0, 0], np.float32)
    model = fitted()
    assert model.scaled(factors).logits(ROWS) == pytest.approx(model.logits(ROWS) * factors, abs=1e-5)


def test_a_mean_of_models_gives_the_mean_of_their_logits() -> None:
    """Models fitted on different rows of one table, so that one table serves all."""
    known = ngram_rows(ROWS, SPACE, vocabulary=VOCABULARY, pad_id=PAD, most_bytes=10**6)
    assert known is not None
    parts = [known.fit(LABELS, SPACE, 1, np.arange(start, start + 6)) for start in (0, 3, 6)]
    expected = np.mean([part.logits(ROWS) for part in parts], axis=0)
    assert mean_ngrams(parts).logits(ROWS) == pytest.approx(expected, abs=1e-5)
