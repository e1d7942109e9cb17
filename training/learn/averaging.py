"""Exponential moving average of the weights: what is measured and exported, while training goes on from the raw ones.

The average of the last steps' weights is flatter and generalises better than the last step's (Polyak & Juditsky, 1992;
Izmailov et al., "Averaging Weights Leads to Wider Optima", UAI 2018).
"""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

EVERY = 4
"""Steps between two updates, each with decay^EVERY: the same average at a quarter of the cost."""


class WeightAverage:
    """The averaged twin of every weight that learns. A decay of 0 is no average: raw and averaged are the same."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._learned = {name: value for name, value in model.named_parameters() if value.requires_grad}
        self._frozen = {name: value for name, value in model.state_dict().items() if name not in self._learned}
        self._decay = decay
        self._average = {name: value.detach().clone() for name, value in self._learned.items()} if decay else {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after this step (1, 2, …) in. At first the decay is lower: the start is soon forgotten."""
        if self._average and step % EVERY == 0:
            decay = min(self._decay, (1 + step) / (10 + step)) ** EVERY
            raw = [value.detach() for value in self._learned.values()]
            torch._foreach_lerp_(list(self._average.values()), raw, 1 - decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the model computes with the averaged weights. Tensors change places, nothing is copied."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Tensor]:
        """The averages alone, by name: what a checkpoint needs to go on."""
        return dict(self._average)

    def load(self, state: Mapping[str, Tensor]) -> None:
        for name, value in self._average.items():
            value.copy_(state[name])

    def weights(self) -> dict[str, Tensor]:
        """The whole model's state with averaged weights in the place of the raw ones."""
        return {**self._frozen, **{name: value.detach() for name, value in self._learned.items()}, **self._average}

    def _swap(self) -> None:
        for name, average in self._average.items():
            raw = self._learned[name].data
            self._learned[name].data = average
            self._average[name] = raw
