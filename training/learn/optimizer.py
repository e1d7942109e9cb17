"""Trainable weights, their learning rates (frozen layers, a rate per layer, AdamW), and their moving average."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.errors import TicketRouterError
from training.learn.classifier import TicketClassifier
from training.recipe import Recipe

_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_NARROW = 512
EVERY = 4
"""Steps between two updates, each with decay^EVERY: the same average at a quarter of the cost."""


def freeze(model: TicketClassifier, frozen: int) -> None:
    """Freeze the embeddings and the `frozen` - 1 lowest layers; 0 freezes nothing.

    Raises:
        TicketRouterError: the encoder has fewer layers.
    """
    layers = _top_layer(model) + 1
    if frozen > layers + 1:
        raise TicketRouterError(
            f"recipe: frozen_layers = {frozen}, but the encoder has {layers} layers; with its embeddings, "
            f"{layers + 1} can be frozen"
        )
    for name, parameter in model.named_parameters():
        found = _LAYER.search(name)
        if (found and int(found[1]) < frozen - 1) or (frozen and not found and "embed" in name):
            parameter.requires_grad = False


def adamw(model: TicketClassifier, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter, ICLR 2019). Fused: on small models the unfused loop took a third of every step."""
    return torch.optim.AdamW(parameter_groups(model, recipe), fused=True)


def parameter_groups(model: TicketClassifier, recipe: Recipe) -> list[dict[str, Any]]:
    """One group per layer and decay setting: each lower layer has a rate `layer_decay` times smaller, the head a higher
    one. Frozen weights are left out.

    Layer-wise decay: Howard & Ruder, "Universal Language Model Fine-tuning", ACL 2018.
    """
    rate = learning_rate(model.config.hidden_size, recipe)
    top = _top_layer(model)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if parameter.ndim < 2 else recipe.weight_decay
            groups.setdefault((rate * _layer_factor(name, top, recipe), decay), []).append(parameter)
    return [{"params": members, "lr": lr, "weight_decay": decay} for (lr, decay), members in groups.items()]


def learning_rate(width: int, recipe: Recipe) -> float:
    """The top layer's learning rate: the recipe's, or the default for an encoder of this width."""
    if recipe.learning_rate is not None:
        return recipe.learning_rate
    return 3e-4 if width < _NARROW else 5e-5


def _top_layer(model: nn.Module) -> int:
    """The highest layer's number; -1 if no layer is numbered."""
    return max((int(found[1]) for name, _ in model.named_parameters() if (found := _LAYER.search(name))), default=-1)


def _layer_factor(name: str, top: int, recipe: Recipe) -> float:
    if name.startswith("head."):
        return recipe.head_multiplier
    found = _LAYER.search(name)
    below_top = top - int(found[1]) if found else top + 1
    return float(recipe.layer_decay**below_top)


def encoder_weights(model: TicketClassifier) -> dict[str, Tensor]:
    """A copy of the encoder's weights by name."""
    return {name: value.detach().clone() for name, value in model.encoder.named_parameters()}


def towards_base(model: TicketClassifier, base: Mapping[str, Tensor], share: float) -> None:
    """Move the encoder's weights this share of the way back to the base encoder's; the head stays.

    Weight-space ensembling: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.

    Args:
        model: the fine-tuned network, changed in place.
        base: the encoder's weights before the fine-tuning, by name.
        share: 0…1.
    """
    with torch.no_grad():
        for name, value in model.encoder.named_parameters():
            value.lerp_(base[name].to(value), share)


class WeightAverage:
    """The exponential moving average of every trained weight; with a decay of 0 it equals the raw weights.

    It is measured and exported, while training continues with the raw weights. It lies in a flatter minimum and
    generalises better than the last step's weights (Polyak & Juditsky, 1992; Izmailov et al., "Averaging Weights Leads
    to Wider Optima", UAI 2018).
    """

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
