"""Examples as network input: token ids, label numbers, the order of an epoch, padded batches, a pass over all
rows.

`rows_through` and `outputs_through` are used for torch in `finetune` and `head`, and for onnxruntime in `export`.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from models.encoding import Batch, Encoder, Encoding
from models.scoring import Logits, Outputs
from training.data.example import Example
from training.data.prepared import MISSING

_GROUPS = 50
"""The rows of this number of steps are sorted by length together: little padding, and the order is still mixed."""


@dataclass(frozen=True)
class EncodedExamples(Dataset[dict[str, Any]]):
    """Examples as the network reads them: their token ids, and label numbers [rows, fields] (MISSING where absent)."""

    examples: tuple[Example, ...]
    encodings: tuple[Encoding, ...]
    labels: NDArray[np.int64]
    soft: Logits | None = None
    """A teacher's logits, [rows, labels of all fields]; a row without labels learns from these alone."""

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """Factors of the rows' losses, [rows]."""
        return np.array([example.weight for example in self.examples], dtype=np.float32)

    def __len__(self) -> int:
        return len(self.encodings)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = {"input_ids": self.encodings[index].ids, "labels": self.labels[index], "weight": self.weights[index]}
        return row if self.soft is None else {**row, "soft": self.soft[index]}

    def at(self, places: NDArray[np.int64]) -> "EncodedExamples":
        """The rows at these places, without a teacher's logits."""
        numbers = places.tolist()
        examples, encodings = (tuple(column[n] for n in numbers) for column in (self.examples, self.encodings))
        return EncodedExamples(examples, encodings, self.labels[places])

    def where(self, chosen: NDArray[np.bool_]) -> "EncodedExamples":
        """The rows where the mask [rows] is true."""
        return self.at(np.flatnonzero(chosen))

    def with_field(self) -> "EncodedExamples":
        """The same rows with one more field at the end, MISSING in all of them."""
        missing = np.full((len(self), 1), MISSING, dtype=np.int64)
        return replace(self, labels=np.concatenate([self.labels, missing], axis=1))


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
        soft = {"soft": torch.from_numpy(np.stack([row["soft"] for row in rows]))} if "soft" in rows[0] else {}
        return {
            **soft,
            "weights": torch.tensor(np.array([row["weight"] for row in rows])),
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
