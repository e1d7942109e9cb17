"""The loss over all fields: cross-entropy or focal loss, with class weights; and R-Drop. Missing labels have no loss.

Shapes: logits [rows, labels of all fields]; labels [rows, fields], numbers within each field, MISSING if a row has
none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.fields import LabelSpace
from training.data.prepared import MISSING
from training.recipe import Recipe


@dataclass(frozen=True)
class FieldsLoss:
    """Mean over the fields of their rows' mean loss; a field without a row in the batch adds nothing.

    With an auxiliary field (the last one, of `general`), own and general rows count by their number: in a batch with a
    fifth of general rows, they have a fifth of the weight.
    """

    space: LabelSpace
    smoothing: float = 0.0
    """Label smoothing, 0…1."""
    gamma: float = 0.0
    """Focal loss: a row's weight is (1 - probability of its label)^gamma. 0: equal weights. Lin et al., ICCV 2017."""
    weights: tuple[Tensor, ...] | None = None
    """Per field, the weight of each label's rows; None: equal weights."""
    auxiliary: bool = False

    @property
    def plain(self) -> "FieldsLoss":
        """The same loss without smoothing, focus and weights: validation reports this one."""
        return replace(self, smoothing=0.0, gamma=0.0, weights=None)

    def __call__(self, logits: Tensor, labels: Tensor, row_weights: Tensor | None = None) -> Tensor:
        own = len(self.space.fields) - self.auxiliary
        found = {
            column: self._field(
                column, logits[rows], labels[rows, column], None if row_weights is None else row_weights[rows]
            )
            for column, rows in _present(labels)
        }
        losses = [loss for column, loss in found.items() if column < own]
        total = torch.stack(losses).mean() if losses else logits.sum() * 0.0
        if own in found:
            share = (labels[:, own] != MISSING).float().mean()
            total = (1 - share) * total + share * found[own]
        return total

    def _field(self, column: int, logits: Tensor, wanted: Tensor, row_weights: Tensor | None) -> Tensor:
        """Mean loss of the rows that have this field."""
        sliced = logits[:, self.space.fields[column].slice].float()
        losses = nn.functional.cross_entropy(sliced, wanted, label_smoothing=self.smoothing, reduction="none")
        if self.gamma:
            sure = sliced.softmax(dim=-1).gather(1, wanted[:, None])[:, 0]
            losses = losses * (1 - sure) ** self.gamma
        if self.weights is not None:
            # Divided by the number of rows, not by the sum of weights: otherwise a batch of rare labels would lose its
            # weight.
            losses = losses * self.weights[column].to(losses.device)[wanted]
        if row_weights is not None:
            losses = losses * row_weights
        return losses.mean()


def training_loss(space: LabelSpace, labels: NDArray[np.int64], recipe: Recipe, *, auxiliary: bool) -> FieldsLoss:
    """The recipe's loss for these training rows' labels, [rows, fields]."""
    weights = tuple(
        class_weights(labels[:, column], len(field.labels), recipe.class_weights) for column, field in enumerate(space)
    )
    return FieldsLoss(
        space,
        smoothing=recipe.label_smoothing,
        gamma=recipe.focal_gamma if recipe.loss == "focal" else 0.0,
        weights=None if recipe.class_weights == "none" else weights,
        auxiliary=auxiliary,
    )


def class_weights(wanted: NDArray[np.int64], labels: int, kind: str) -> Tensor:
    """A weight per label, [labels]: the inverse of its frequency (`sqrt`: its root); the rows' mean weight is 1."""
    counts = np.bincount(wanted[wanted != MISSING], minlength=labels)
    raw = np.where(counts, 1 / np.maximum(counts, 1), 0.0) ** {"none": 0.0, "sqrt": 0.5, "balanced": 1.0}[kind]
    return torch.tensor(raw * counts.sum() / max((raw * counts).sum(), 1e-12), dtype=torch.float32)


def twice(network: Callable[..., dict[str, Tensor]], inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Logits of the same rows with two dropout masks, in one pass."""
    both = network(**{name: value.repeat(2, 1) for name, value in inputs.items()})["logits"]
    first, second = both.chunk(2)
    return first, second


def divergence(first: Tensor, second: Tensor, labels: Tensor, space: LabelSpace) -> Tensor:
    """R-Drop (Wu et al., NeurIPS 2021): mean over the fields of the symmetric KL divergence between two passes."""
    found = []
    for column, rows in _present(labels):
        field = space.fields[column].slice
        one = first[rows][:, field].float().log_softmax(dim=-1)
        other = second[rows][:, field].float().log_softmax(dim=-1)
        found.append(0.5 * ((one.exp() - other.exp()) * (one - other)).sum(dim=-1).mean())
    return torch.stack(found).mean() if found else first.sum() * 0.0


def _present(labels: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The fields with a label in the batch, each with a mask of its rows."""
    masks = labels != MISSING
    for column in range(labels.shape[1]):
        if bool(masks[:, column].any()):
            yield column, masks[:, column]
