"""General labelled texts, learned beside the company's own through an auxiliary field; its head is removed afterwards.

Fine-tuning on few texts overfits the encoder to them; rows of another task keep it general (multi-task learning; Liu et
al., "MT-DNN", ACL 2019).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from models.encoding import Encoder
from models.errors import TicketRouterError
from models.fields import DEPARTMENT, LabelSpace
from training.data.example import Example
from training.data.prepared import MISSING, prepare_rows
from training.data.source import TicketFile, read_tickets
from training.learn.classifier import TicketClassifier
from training.learn.rows import EncodedExamples
from training.recipe import Recipe

_FIELD = "(general)"
"""Not a valid name for a user's field."""


@dataclass(frozen=True, slots=True)
class GeneralExamples:
    """General texts, with their labels in place of departments; `share`: their share of an epoch's rows."""

    examples: tuple[Example, ...]
    labels: tuple[str, ...]
    share: float

    def drawn(self, own: int) -> int:
        """The number of general rows in an epoch with this number of own rows; at most all of them."""
        return min(len(self.examples), round(own * self.share / (1 - self.share)))


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a network learns (`train`, and `general` beside it), and the rows that measure it."""

    encoder: Encoder
    space: LabelSpace
    train: EncodedExamples
    validation: EncodedExamples
    general: GeneralExamples | None = None


def read_general(recipe: Recipe) -> GeneralExamples | None:
    """The recipe's general texts; None: it names none.

    Raises:
        TicketRouterError: the file breaks the contract, or has fewer than two labels.
    """
    if recipe.general is None:
        return None
    path = recipe.general.data
    examples, _ = prepare_rows(read_tickets(TicketFile(path), (DEPARTMENT,)).rows)
    labels = tuple(sorted({str(example.labels[DEPARTMENT]) for example in examples}))
    if len(labels) < 2:
        raise TicketRouterError(f"{path}: {len(labels)} label(s); general data needs at least two")
    return GeneralExamples(tuple(examples), labels, recipe.general.share)


def with_general(
    space: LabelSpace, train: EncodedExamples, general: GeneralExamples, encoder: Encoder
) -> tuple[LabelSpace, EncodedExamples]:
    """Add one field at the end; append the general rows, with a value in this field only."""
    catalogues = {field.name: field.labels for field in space}
    labels = np.full((len(general.examples), len(space.fields) + 1), MISSING, dtype=np.int64)
    labels[:, -1] = [general.labels.index(str(example.labels[DEPARTMENT])) for example in general.examples]
    rows = EncodedExamples(
        (*train.examples, *general.examples),
        (*train.encodings, *(encoder.encode(example.text) for example in general.examples)),
        np.concatenate([train.with_field().labels, labels]),
    )
    return LabelSpace.of({**catalogues, _FIELD: general.labels}), rows


@torch.no_grad()
def resize_head(model: TicketClassifier, space: LabelSpace) -> None:
    """Resize the head to a label space: append new outputs, or remove the last ones."""
    old = model.head
    if old.out_features == space.size:
        return
    head = nn.Linear(old.in_features, space.size, device=old.weight.device)
    nn.init.normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    kept = min(space.size, old.out_features)
    head.weight[:kept] = old.weight[:kept]
    head.bias[:kept] = old.bias[:kept]
    model.head = head
