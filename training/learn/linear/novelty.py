"""How unlike the training rows a ticket is: by its wordpieces, and by its distance to the labels.

Two scores, appended to a ticket's logits, so that the same thresholds judge them wherever the bundle runs:

- familiarity: the mean logarithm of the share of training rows that hold a wordpiece. Other scripts, other languages
  and random letters are low.
- similarity: the cosine of the pooled vector with the nearest label's mean vector. Other businesses are low. (Nearest
  class mean: Lee et al., "A simple unified framework for detecting out-of-distribution samples", NeurIPS 2018, without
  the covariance, which few rows do not carry.)
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoding import Encoding

SMALLEST_LENGTH = 1e-6


@dataclass(frozen=True, slots=True)
class Novelty:
    """`shares` [vocabulary, 2]: each wordpiece's logarithm of its share of the training rows, and 1; both 0 for special
    tokens. `centres` [labels of the department, width]: each label's mean vector, of length 1."""

    shares: NDArray[np.float32]
    centres: NDArray[np.float32]

    def scores(self, encodings: Sequence[Encoding], pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Familiarity and similarity of the rows, [rows, 2], from their wordpieces and pooled vectors [rows, width]."""
        sums = np.array([self.shares[list(encoding.ids)].sum(axis=0) for encoding in encodings]).reshape(-1, 2)
        familiarity = sums[:, 0] / np.maximum(sums[:, 1], 1)
        similarity = (unit(pooled) @ self.centres.T).max(axis=1, initial=-1)
        return np.stack([familiarity, similarity], axis=1).astype(np.float32)


def fit_novelty(
    encodings: Sequence[Encoding],
    pooled: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    vocabulary: int,
    special: Collection[int],
) -> Novelty:
    """Fit both scores on training rows.

    Args:
        encodings: the rows.
        pooled: vectors of the first rows, [rows, width]: of all, or of as many as the labels' means need.
        labels: the department's label numbers of these first rows, [rows]; negative: none. Every label needs a row.
        vocabulary: larger than every wordpiece's id.
        special: ids that say nothing of a text: first, last and padding tokens.
    """
    counts = np.zeros(vocabulary)
    for encoding in encodings:
        counts[list(set(encoding.ids))] += 1
    shares = np.stack([np.log((counts + 0.5) / (len(encodings) + 1)), np.ones(vocabulary)], axis=1).astype(np.float32)
    shares[list(special)] = 0
    rows = unit(pooled)
    centres = unit(np.stack([rows[labels == label].mean(axis=0) for label in range(int(labels.max()) + 1)]))
    return Novelty(shares, centres)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors [rows, width] with length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, SMALLEST_LENGTH), dtype=np.float32)
