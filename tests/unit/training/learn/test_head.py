"""Heads on the base encoder's vectors: the start of fine-tuning, and the linear head of a quick run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.encoding import Encoder
from models.fields import LabelSpace
from tests.support.learning import RECIPE, SPACE, encoded, fresh
from training.data.prepared import MISSING
from training.learn.classifier import TicketClassifier
from training.learn.finetune import predict
from training.learn.linear.head import fit_linear_head, pooled, start_at_centroids
from training.learn.rows import EncodedExamples

Head = Callable[..., None]


def linear(model: TicketClassifier, space: LabelSpace, vectors: NDArray[np.float32], train: EncodedExamples) -> None:
    fit_linear_head(space, vectors, train.labels).put_into(model)


both = pytest.mark.parametrize("place", [start_at_centroids, linear])
WORDS = ("invoice invoice invoice", "crash crash crash crash", "offer offer offer")


@pytest.fixture
def started(tiny_base: Path) -> tuple[TicketClassifier, Encoder]:
    return fresh(tiny_base, RECIPE)


def separable(encoder: Encoder, count: int = 12) -> EncodedExamples:
    """The text alone tells the department; the priority follows from it, and every other row has none."""
    labels = [[n % 3, MISSING if n % 2 else int(n % 3 == 2)] for n in range(count)]
    return encoded([encoder.encode(WORDS[n % 3]) for n in range(count)], np.array(labels, dtype=np.int64))


def placed(place: Head, model: TicketClassifier, encoder: Encoder, rows: EncodedExamples) -> None:
    place(model, SPACE, pooled(model, encoder, rows.encodings), rows)


@both
def test_separable_rows_are_right_before_any_training(started: tuple[TicketClassifier, Encoder], place: Head) -> None:
    """Every field's head finds its labels; the seeded random head does not."""
    model, encoder = started
    rows = separable(encoder)

    def right(column: int) -> float:
        logits = predict(model, encoder, rows.encodings)[:, SPACE.fields[column].slice]
        there = rows.labels[:, column] != MISSING
        return float((logits.argmax(axis=1) == rows.labels[:, column])[there].mean())

    assert right(0) < 1
    placed(place, model, encoder, rows)
    assert (right(0), right(1)) == (1, 1)


def test_rows_without_a_label_do_not_count(started: tuple[TicketClassifier, Encoder]) -> None:
    """Rows that miss every label leave the centroids as the other rows make them."""
    place = start_at_centroids
    model, encoder = started
    rows = separable(encoder)
    placed(place, model, encoder, rows)
    wanted = head_of(model)
    missing = np.full((1, 2), MISSING, dtype=np.int64)
    more = encoded([*rows.encodings, encoder.encode("hello")], np.concatenate([rows.labels, missing]))
    placed(place, model, encoder, more)
    assert torch.equal(head_of(model), wanted)


@both
def test_the_same_rows_give_the_same_head(tiny_base: Path, place: Head) -> None:
    """Bit by bit, whatever random head stood there before."""
    heads = []
    for seed in (1, 2):
        model, encoder = fresh(tiny_base, RECIPE.model_copy(update={"seed": seed}))
        placed(place, model, encoder, separable(encoder))
        heads.append(head_of(model))
    assert torch.equal(*heads)


def head_of(model: TicketClassifier) -> torch.Tensor:
    """Weight and bias side by side, [labels, width + 1]."""
    return torch.cat([model.head.weight, model.head.bias[:, None]], dim=1).detach().clone()
