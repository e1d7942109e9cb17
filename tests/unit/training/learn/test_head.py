"""The head's start: a nearest-centroid classifier on the base encoder's vectors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoding import Encoder
from tests.support.learning import RECIPE, SPACE, fresh
from training.data.prepared import MISSING
from training.learn.classifier import TicketClassifier
from training.learn.finetune import predict
from training.learn.head import start_at_centroids
from training.learn.rows import EncodedRows

WORDS = ("invoice invoice invoice", "crash crash crash crash", "offer offer offer")


@pytest.fixture
def started(tiny_base: Path) -> tuple[TicketClassifier, Encoder]:
    return fresh(tiny_base, RECIPE)


def separable(encoder: Encoder, count: int = 12) -> EncodedRows:
    """The text alone tells the department; the priority follows from it, and every other row has none."""
    labels = [[n % 3, MISSING if n % 2 else int(n % 3 == 2)] for n in range(count)]
    return EncodedRows([encoder.encode(WORDS[n % 3]) for n in range(count)], np.array(labels, dtype=np.int64))


def test_separable_rows_are_right_before_any_training(started: tuple[TicketClassifier, Encoder]) -> None:
    """Every field's head finds its labels; the seeded random head does not."""
    model, encoder = started
    rows = separable(encoder)

    def right(column: int) -> float:
        logits = predict(model, encoder, rows.encodings)[:, SPACE.fields[column].slice]
        there = rows.labels[:, column] != MISSING
        return float((logits.argmax(axis=1) == rows.labels[:, column])[there].mean())

    assert right(0) < 1
    start_at_centroids(model, encoder, SPACE, rows)
    assert (right(0), right(1)) == (1, 1)


def test_rows_without_a_label_do_not_count(started: tuple[TicketClassifier, Encoder]) -> None:
    """Rows that miss every label leave the head as the other rows make it."""
    model, encoder = started
    rows = separable(encoder)
    start_at_centroids(model, encoder, SPACE, rows)
    wanted = head_of(model)
    missing = np.full((1, 2), MISSING, dtype=np.int64)
    more = EncodedRows([*rows.encodings, encoder.encode("hello")], np.concatenate([rows.labels, missing]))
    start_at_centroids(model, encoder, SPACE, more)
    assert torch.equal(head_of(model), wanted)


def test_the_same_rows_give_the_same_head(tiny_base: Path) -> None:
    """Bit by bit, whatever random head stood there before."""
    heads = []
    for seed in (1, 2):
        model, encoder = fresh(tiny_base, RECIPE.model_copy(update={"seed": seed}))
        start_at_centroids(model, encoder, SPACE, separable(encoder))
        heads.append(head_of(model))
    assert torch.equal(*heads)


def head_of(model: TicketClassifier) -> torch.Tensor:
    """Weight and bias side by side, [labels, width + 1]."""
    return torch.cat([model.head.weight, model.head.bias[:, None]], dim=1).detach().clone()
