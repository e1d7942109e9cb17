"""Exponential moving average of the weights: measured and exported, while training continues with the raw weights.

The average over the last steps lies in a flatter minimum and generalises better than the last step's weights (Polyak &
Juditsky, 1992; Izmailov et al., "Averaging Weights Leads to Wider Optima", UAI 2018).
"""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

EVERY = 4
"""Steps between two updates, each with decay^EVERY: the same average at a quarter of the cost."""


class WeightAverage:
    """The moving average of every trained weight. With a decay of 0 the averages equal the raw weights."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._learned = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self._frozen = {name: value for name, value in model.state_dict().items() if name not in self._learned}
        self._decay = decay
        self._average = {name: value.detach().clone() for name, value in self._learned.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after this step (1, 2, …). At first the decay is lower, so that the initial weights soon
        vanish."""
        if self._average and step % EVERY == 0:
            decay = min(self._decay, (1 + step) / (10 + step)) ** EVERY
            raw = [value.detach() for value in self._learned.values()]
            torch._foreach_lerp_(list(self._average.values()), raw, 1 - decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """In this context the model computes with the averaged weights. Tensors are swapped, not copied."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Tensor]:
        """The averages by name: a checkpoint needs them to resume."""
        return dict(self._average)

    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, value in self._average.items():
            value.copy_(state[name])

    def weights(self) -> dict[str, Tensor]:
        """The whole model's state with averaged weights instead of raw ones."""
        return {**self._frozen, **{name: value.detach() for name, value in self._learned.items()}, **self._average}

    def _swap(self) -> None:
        for name, average in self._average.items():
            raw = self._learned[name].data
            self._learned[name].data = average
            self._average[name] = raw
