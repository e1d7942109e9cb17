"""Heads on the base encoder's vectors: the centroids that fine-tuning starts from, and the linear head of a quick run.

Centroids save the epochs of a random start.

A random head sends random gradients through the encoder at first, and so damages the pre-trained weights (Kumar et al.,
"Fine-tuning can distort pretrained features", ICLR 2022); a nearest-centroid classifier is useful from the first step
(Snell et al., "Prototypical networks", NeurIPS 2017). Figures: docs/log.md.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models.encoding import Batch, Encoder, Encoding
from models.fields import LabelSpace
from models.scoring import Logits
from training.data.prepared import MISSING
from training.learn.classifier import TicketClassifier
from training.learn.rows import EncodedExamples, rows_through

SHARPNESS = 20.0
"""Logit of a row that equals its centroid: high confidence, but far from the saturation that stops learning."""

_INVERSE_PENALTY = 30.0
"""Of the linear head's squared weights. Vectors are centred, with a mean squared length of 1 (docs/log.md)."""
_ITERATIONS = 300
_FINE_ENOUGH = 1e-3


@dataclass(frozen=True, slots=True)
class LinearHead:
    """A head's `weight` [labels of all fields, width] and `bias` [labels of all fields]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, vectors: NDArray[np.float32]) -> Logits:
        """Logits of pooled vectors [rows, width]: [rows, labels of all fields]."""
        return np.asarray(vectors @ self.weight.T + self.bias, dtype=np.float32)

    def put_into(self, model: TicketClassifier) -> None:
        with torch.no_grad():
            model.head.weight.copy_(torch.from_numpy(self.weight))
            model.head.bias.copy_(torch.from_numpy(self.bias))


def fit_linear_head(
    space: LabelSpace,
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    row_weights: NDArray[np.float32] | None = None,
) -> LinearHead:
    """A multinomial logistic regression on the base encoder's vectors.

    Args:
        space: the fields.
        vectors: pooled vectors of the training rows, [rows, width].
        labels: label numbers, [rows, fields]; MISSING where a row has none. Every label needs a row.
        row_weights: [rows]; None: all 1.
    """
    middle = vectors.mean(axis=0)
    centred = vectors - middle
    length = max(float(np.sqrt((centred**2).sum(axis=1).mean())), 1e-6)
    weights, biases = [], []
    for column, field in enumerate(space):
        present = labels[:, column] != MISSING
        learner = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_ITERATIONS, tol=_FINE_ENOUGH)
        given = None if row_weights is None else row_weights[present]
        learner.fit(centred[present] / length, labels[present, column], sample_weight=given)
        weight, bias = learner.coef_ / length, learner.intercept_
        if len(field.labels) == 2:  # scikit-learn has one row for two labels
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        weights.append(weight)
        biases.append(bias - weight @ middle)
    return LinearHead(np.concatenate(weights).astype(np.float32), np.concatenate(biases).astype(np.float32))


def mean_head(heads: Sequence[LinearHead]) -> LinearHead:
    """The head with the mean logits of these."""
    return LinearHead(np.mean([head.weight for head in heads], axis=0), np.mean([head.bias for head in heads], axis=0))


def start_at_centroids(
    model: TicketClassifier, space: LabelSpace, vectors: NDArray[np.float32], train: EncodedExamples
) -> None:
    """Set the head's rows to the labels' centroids, centred and normalised.

    Args:
        model: its head is changed, its encoder stays.
        space: the fields.
        vectors: pooled vectors of the training rows, [rows, width].
        train: the training rows.
    """
    for column, field in enumerate(space):
        present = train.labels[:, column] != MISSING
        weight, bias = _nearest_centroid(vectors[present], train.labels[present, column], len(field.labels))
        with torch.no_grad():
            model.head.weight[field.slice] = torch.from_numpy(weight)
            model.head.bias[field.slice] = torch.from_numpy(bias)


def pooled(model: TicketClassifier, encoder: Encoder, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
    """The rows' pooled vectors, shape [rows, width]."""

    def infer(batch: Batch) -> NDArray[np.float32]:
        inputs = (torch.from_numpy(array).to(device) for array in (batch.input_ids, batch.attention_mask))
        return np.asarray(model.pool(*inputs).float().cpu().numpy())

    if torch.cuda.is_available():  # the Trainer moves the network there anyway
        model.to(f"cuda:{os.environ.get('LOCAL_RANK', 0)}")
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        return rows_through(infer, encodings, encoder, batch_size=32)


def _nearest_centroid(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight [labels, width] and bias [labels] of a linear layer whose logits are SHARPNESS x cosine, about."""
    means = np.stack([vectors[labels == label].mean(axis=0) for label in range(size)])
    middle = means.mean(axis=0)
    directions = means - middle
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-6)
    weight = directions * SHARPNESS / max(float(np.linalg.norm(vectors - middle, axis=1).mean()), 1e-6)
    return weight.astype(np.float32), (-weight @ middle).astype(np.float32)
