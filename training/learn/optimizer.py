"""Trainable weights and their learning rates: frozen layers, a learning rate per layer, AdamW."""

import re
from typing import Any

import torch
from torch import nn

from models.errors import TicketRouterError
from training.learn.classifier import TicketClassifier
from training.recipe import Recipe

_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_NARROW = 512


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
