"""Rows as network input: encodings and labels, their order in an epoch, padded batches, a pass over all rows.

`rows_through` and `outputs_through` are used for torch in `finetune` and `head`, and for onnxruntime in `export`.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from models.encoding import Batch, Encoder, Encoding
from models.scoring import Outputs
from training.data.prepared import MISSING

_GROUPS = 50
"""The rows of this number of steps are sorted by length together: little padding, and the order is still mixed."""


@dataclass(frozen=True)
class EncodedRows(Dataset[dict[str, Any]]):
    """Rows ready for the network: encodings, and label numbers of shape [rows, fields] (MISSING where absent).

    `weights` [rows] are factors of the rows' losses; None: all 1."""

    encodings: Sequence[Encoding]
    labels: NDArray[np.int64]
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.encodings)

    def __getitem__(self, index: int) -> dict[str, Any]:
        weight = {} if self.weights is None else {"weight": self.weights[index]}
        return {"input_ids": self.encodings[index].ids, "labels": self.labels[index], **weight}

    def with_field(self) -> "EncodedRows":
        """The same rows with one more field at the end, MISSING in all of them."""
        missing = np.full((len(self), 1), MISSING, dtype=np.int64)
        return EncodedRows(self.encodings, np.concatenate([self.labels, missing], axis=1), self.weights)


class EpochSampler(Sampler[int]):
    """The order of an epoch's rows, drawn from seed and epoch alone, so that a resumed epoch continues with equal
    batches.

    Rows of similar length share a batch; the order of the batches is random.

    Args:
        lengths: tokens of each row: first the company's own rows, then the general ones.
        own: the number of the company's own rows; every epoch has all of them.
        drawn: the number of general rows that an epoch draws.
        group: rows of one step, over all processes.
        seed: the recipe's seed.
    """

    def __init__(self, lengths: Sequence[int], own: int, drawn: int, group: int, seed: int) -> None:
        self._lengths = lengths
        self._own = own
        self._drawn = drawn
        self._group = group
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __len__(self) -> int:
        return self._own + self._drawn

    def __iter__(self) -> Iterator[int]:
        generator = random.Random(f"{self._seed}:{self._epoch}")
        rows = [*range(self._own), *generator.sample(range(self._own, len(self._lengths)), self._drawn)]
        generator.shuffle(rows)
        sorted_rows: list[int] = []
        for start in range(0, len(rows), _GROUPS * self._group):
            sorted_rows += sorted(rows[start : start + _GROUPS * self._group], key=self._lengths.__getitem__)
        groups = [sorted_rows[start : start + self._group] for start in range(0, len(sorted_rows), self._group)]
        last = groups.pop() if groups and len(groups[-1]) < self._group else []  # a short step ends the epoch
        generator.shuffle(groups)
        yield from (row for group in [*groups, last] for row in group)


@dataclass(frozen=True)
class Collator:
    """Rows → a padded batch of tensors."""

    encoder: Encoder

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        multiple = 8 if torch.cuda.is_available() else 1  # tensor cores compute eights
        batch = self.encoder.batch([Encoding(row["input_ids"], False) for row in rows], multiple)
        weighted = "weight" in rows[0]
        weights = {"weights": torch.tensor(np.array([row["weight"] for row in rows]))} if weighted else {}
        return {
            **weights,
            "input_ids": torch.from_numpy(batch.input_ids),
            "attention_mask": torch.from_numpy(batch.attention_mask),
            "labels": torch.from_numpy(np.stack([row["labels"] for row in rows])),
        }


def rows_through(
    infer: Callable[[Batch], NDArray[np.float32]], encodings: Sequence[Encoding], encoder: Encoder, batch_size: int
) -> NDArray[np.float32]:
    """The results of `infer` for all rows (at least one), in their own order: shape [rows, width of a result].

    Batches are sorted by length, to reduce padding.

    Args:
        infer: runs one batch; [rows of the batch, width].
        encodings: the rows.
        encoder: pads them.
        batch_size: rows of a batch.
    """
    order = sorted(range(len(encodings)), key=lambda row: len(encodings[row].ids))
    batches = (order[start : start + batch_size] for start in range(0, len(order), batch_size))
    found = np.concatenate([infer(encoder.batch([encodings[row] for row in rows])) for rows in batches])
    restored = np.empty_like(found)
    restored[order] = found
    return restored


def outputs_through(
    infer: Callable[[Batch], Outputs], encodings: Sequence[Encoding], encoder: Encoder, batch_size: int
) -> Outputs:
    """Like `rows_through`, for both outputs of a graph in one pass."""
    labels = 0

    def joined(batch: Batch) -> NDArray[np.float32]:
        nonlocal labels
        found = infer(batch)
        labels = found.logits.shape[1]
        return np.concatenate(found, axis=1)

    both = rows_through(joined, encodings, encoder, batch_size)
    return Outputs(both[:, :labels], both[:, labels:])
