"""A linear model over wordpieces and pairs of neighbouring wordpieces: what single words say, beside the encoder.

Features are TF-IDF values (Salton & Buckley, 1988) of `input_ids`, so a served graph computes them from the input that
it has anyway (`training.export.ngram_nodes`). A row's vector is the sum of idf over its n-grams, divided by the square
root of the sum of idf²: the usual length norm if no n-gram repeats. It is a sum over tokens, so padding and other rows
of the batch do not change it. Learner: one-against-rest linear support vector machines (Fan et al., "LIBLINEAR", 2008).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from models.encoding import Encoder, Encoding
from models.fields import Field, LabelSpace
from models.scoring import Logits
from training.data.prepared import MISSING

TELLING = 8
"""N-grams of each label that a report shows."""
LEAST_ROWS = 2
"""An n-gram of a single training row says little of other rows, and most n-grams are of that kind."""


@dataclass(frozen=True, slots=True)
class NgramModel:
    """Weights of the known n-grams.

    `keys` [n-grams], rising: the id of a wordpiece, or (first id + 1) x `vocabulary` + second id for a pair.
    `weights` [n-grams, labels of all fields] have the idf folded in; `squares` [n-grams] are idf²;
    `bias` [labels of all fields] is the answer to a text without a known n-gram.
    """

    vocabulary: int
    keys: NDArray[np.int64]
    weights: NDArray[np.float32]
    squares: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, encodings: Sequence[Encoding]) -> Logits:
        """Logits of the rows, [rows, labels of all fields]."""
        found = np.empty((len(encodings), len(self.bias)), dtype=np.float32)
        for row, encoding in enumerate(encodings):
            known = self._known(encoding)
            norm = np.sqrt(max(float(self.squares[known].sum()), 1.0))
            found[row] = self.weights[known].sum(axis=0) / norm + self.bias
        return found

    def scaled(self, factors: NDArray[np.float32]) -> "NgramModel":
        """The same model with its logits multiplied by these factors, [labels of all fields]."""
        return replace(self, weights=self.weights * factors, bias=self.bias * factors)

    def _known(self, encoding: Encoding) -> NDArray[np.int64]:
        wanted = ngram_keys(encoding, self.vocabulary)
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.asarray(places[self.keys[places] == wanted])


def ngram_keys(encoding: Encoding, vocabulary: int) -> NDArray[np.int64]:
    """The keys of a row's wordpieces, and of the pairs of neighbours; special tokens count, so a pair can say "first
    word"."""
    ids = np.asarray(encoding.ids, dtype=np.int64)
    return np.concatenate([ids, (ids[:-1] + 1) * vocabulary + ids[1:]])


@dataclass(frozen=True, slots=True)
class NgramRows:
    """Rows as TF-IDF vectors (a sparse matrix [rows, n-grams]) of a table without weights."""

    table: NgramModel
    vectors: Any

    def fit(
        self,
        labels: NDArray[np.int64],
        space: LabelSpace,
        seed: int,
        rows: NDArray[np.int64] | slice = slice(None),
        row_weights: NDArray[np.float32] | None = None,
    ) -> NgramModel:
        """The model fitted on all or some of the rows.

        Args:
            labels: label numbers of all rows, [rows, fields]; MISSING where a row has none. Every label needs a row
                among those of the fit.
            space: the fields.
            seed: of the learner.
            rows: the numbers of these rows.
            row_weights: of all rows, [rows]; None: all 1.
        """
        vectors = self.vectors[rows]
        given = np.ones(len(labels), dtype=np.float32) if row_weights is None else row_weights
        fitted = [
            _fit_field(vectors, labels[rows, column], given[rows], len(field.labels), seed)
            for column, field in enumerate(space)
        ]
        idf = np.sqrt(self.table.squares)
        weights = np.concatenate([weight for weight, _ in fitted]).T * idf[:, None]
        bias = np.concatenate([bias for _, bias in fitted])
        return replace(self.table, weights=np.ascontiguousarray(weights), bias=bias)


def ngram_rows(
    encodings: Sequence[Encoding], space: LabelSpace, *, vocabulary: int, pad_id: int, most_bytes: int
) -> NgramRows | None:
    """The table of n-grams that at least two rows share, and the rows as vectors; None if there is no such n-gram.

    Args:
        encodings: the rows.
        space: the fields.
        vocabulary: larger than every wordpiece's id.
        pad_id: the id that pads batches; n-grams with it are unknown, so that padding adds nothing.
        most_bytes: size of the table in a graph; the most frequent n-grams are kept.
    """
    rows = [ngram_keys(encoding, vocabulary) for encoding in encodings]
    counts = Counter(key for row in rows for key in set(row.tolist()))
    kept = [
        key
        for key, count in counts.items()
        if LEAST_ROWS <= count < len(rows) and pad_id not in (key % vocabulary, key // vocabulary - 1)
    ]
    room = most_bytes // (4 * (space.size + 1) + 8)
    keys = np.array(sorted(sorted(kept, key=lambda key: (-counts[key], key))[:room]), dtype=np.int64)
    if not len(keys):
        return None
    idf = np.array([np.log((1 + len(rows)) / (1 + counts[int(key)])) + 1 for key in keys], dtype=np.float32)
    table = NgramModel(vocabulary, keys, np.zeros((len(keys), 0), np.float32), idf**2, np.zeros(0, np.float32))
    return NgramRows(table, _features(table, encodings, idf))


def mean_ngrams(models: Sequence[NgramModel]) -> NgramModel:
    """One table with the mean logits of models of the same table."""
    weights, bias = (
        np.asarray(np.mean(part, axis=0)) for part in zip(*((m.weights, m.bias) for m in models), strict=True)
    )
    return replace(models[0], weights=weights, bias=bias)


def _features(model: NgramModel, encodings: Sequence[Encoding], idf: NDArray[np.float32]) -> Any:
    """TF-IDF vectors, a sparse matrix [rows, n-grams]."""
    known = [model._known(encoding) for encoding in encodings]
    values = [idf[row] / np.sqrt(max(float(model.squares[row].sum()), 1.0)) for row in known]
    ends = np.cumsum([0, *(len(row) for row in known)])
    matrix = sp.csr_matrix((np.concatenate(values), np.concatenate(known), ends), shape=(len(known), len(idf)))
    matrix.sum_duplicates()
    return matrix


def _fit_field(
    features: Any, labels: NDArray[np.int64], row_weights: NDArray[np.float32], size: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One field's weights [labels, n-grams] and bias [labels]."""
    present = labels != MISSING
    learner = LinearSVC(random_state=seed)
    learner.fit(features[present], labels[present], sample_weight=row_weights[present])
    weights, bias = learner.coef_, learner.intercept_
    if size == 2:  # scikit-learn has one row for two labels
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    return weights.astype(np.float32), bias.astype(np.float32)


def telling_ngrams(
    model: NgramModel, field: Field, encoder: Encoder, most: int = TELLING
) -> dict[str, tuple[str, ...]]:
    """Each label's n-grams with the largest weight above the labels' mean, as text, largest first."""

    def text(key: int) -> str:
        first, second = divmod(key, model.vocabulary)
        return encoder.text([first - 1, second] if first else [second])

    weights = model.weights[:, field.slice]
    above = weights - weights.mean(axis=1, keepdims=True)
    best = np.argsort(-above, axis=0, kind="stable")[:most]
    return {
        label: tuple(text(int(model.keys[row])) for row in best[:, column]) for column, label in enumerate(field.labels)
    }
