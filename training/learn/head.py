"""The head's initial weights: each label's centroid under the base encoder, which saves the epochs of a random start.

A random head sends random gradients through the encoder at first, and so damages the pre-trained weights (Kumar et al.,
"Fine-tuning can distort pretrained features", ICLR 2022); a nearest-centroid classifier is useful from the first step
(Snell et al., "Prototypical networks", NeurIPS 2017). Figures: docs/log.md.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.encoding import Batch, Encoder, Encoding
from models.fields import LabelSpace
from training.learn.classifier import TicketClassifier
from training.learn.rows import EncodedRows, rows_through

SHARPNESS = 20.0
"""Logit of a row that equals its centroid: high confidence, but far from the saturation that stops learning."""
ROWS_PER_LABEL = 100
"""More rows hardly change a centroid, and each row costs a pass through the encoder."""


def start_at_centroids(model: TicketClassifier, encoder: Encoder, space: LabelSpace, train: EncodedRows) -> None:
    """Set the head's rows to the labels' centroids: pooled vectors of the training rows, centred and normalised."""
    for column, field in enumerate(space):
        chosen = _first_rows(train.labels[:, column], len(field.labels))
        vectors = pooled(model, encoder, [train.encodings[row] for row in chosen])
        weight, bias = _nearest_centroid(vectors, train.labels[chosen, column], len(field.labels))
        with torch.no_grad():
            model.head.weight[field.slice] = torch.from_numpy(weight)
            model.head.bias[field.slice] = torch.from_numpy(bias)


def pooled(model: TicketClassifier, encoder: Encoder, encodings: Sequence[Encoding]) -> NDArray[np.float32]:
    """The rows' pooled vectors, shape [rows, width]."""

    def infer(batch: Batch) -> NDArray[np.float32]:
        inputs = (torch.from_numpy(array).to(device) for array in (batch.input_ids, batch.attention_mask))
        return np.asarray(model.pool(*inputs).float().cpu().numpy())

    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        return rows_through(infer, encodings, encoder, batch_size=32)


def _first_rows(labels: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Up to ROWS_PER_LABEL rows of each label, [rows]."""
    found = [np.flatnonzero(labels == label)[:ROWS_PER_LABEL] for label in range(size)]
    return np.concatenate(found)


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
