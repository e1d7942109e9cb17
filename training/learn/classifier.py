"""The network: an encoder of transformers, a pooling, and one linear head over the labels of all fields."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig

from models.encoding import Encoder
from models.errors import TicketRouterError
from models.fields import LabelSpace
from training.recipe import Recipe

_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "data2vec-text"}
"""Encoders whose positions start at `pad_token_id + 1`: their configured maximum is too high by that number."""
_HIDDEN_DROPOUT = ("hidden_dropout_prob", "dropout", "embedding_dropout", "mlp_dropout")
"""Configuration names of the dropout outside attention: BERT and similar, DistilBERT, ModernBERT (two)."""


class TicketClassifier(nn.Module):
    """Encoder → pooled vector → one logit per label of every field.

    `forward` takes `input_ids` and `attention_mask`, int64 of shape [rows, tokens], and returns `{"logits": [rows,
    labels], "pooled": [rows, width]}`. `pooled` is the mean of the last hidden state over a row's tokens, with either
    pooling. Every encoder has the same inputs and outputs, so every exported graph is called in the same way.
    """

    def __init__(
        self, encoder: nn.Module, config: PretrainedConfig, labels: int, pooling: str, width: int | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.pooling = pooling
        self.dropout = nn.Dropout(_hidden_dropout(config))
        self.head = nn.Linear(width or config.hidden_size, labels)
        self.reset_head()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        hidden = self._hidden(input_ids, attention_mask)
        mean = mean_pool(hidden, attention_mask)
        vector = mean if self.pooling == "mean" else hidden[:, 0]
        return {"logits": self.head(self.dropout(vector)), "pooled": mean}

    def reset_head(self) -> None:
        """A random head, as for a network that learned nothing yet."""
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def pool(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The head's input: one vector per row, shape [rows, width]."""
        hidden = self._hidden(input_ids, attention_mask)
        return mean_pool(hidden, attention_mask) if self.pooling == "mean" else hidden[:, 0]

    def _hidden(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden: Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return hidden

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Called by the Trainer if the recipe requests it.

        Raises:
            TicketRouterError: the encoder does not support gradient checkpointing.
        """
        if not getattr(self.encoder, "supports_gradient_checkpointing", False):
            raise TicketRouterError(f"recipe: gradient_checkpointing: a {self.config.model_type} encoder has none")
        enable: Any = self.encoder.gradient_checkpointing_enable  # torch types every attribute as tensor or module
        enable(gradient_checkpointing_kwargs=gradient_checkpointing_kwargs)


def mean_pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Average of the last layer over a row's real tokens, shape [rows, width] (Reimers & Gurevych, EMNLP 2019)."""
    weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def load_classifier(folder: Path, space: LabelSpace, recipe: Recipe) -> TicketClassifier:
    """The base encoder from its safetensors, with a new head for these labels.

    Raises:
        TicketRouterError: the folder's configuration or weights are not those of an encoder.
    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        # Dropout inside attention prevents the fused kernel: at 256 tokens a step then takes twice as long.
        config.attention_probs_dropout_prob = 0.0
        _set_hidden_dropout(config, recipe.dropout)
        encoder, found = AutoModel.from_pretrained(
            folder, config=config, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True, **_without_pooler(config),
        )  # fmt: skip
    except Exception as error:  # damaged files raise many types: safetensors', transformers' and Python's
        raise TicketRouterError(f"{folder}: not an encoder that transformers can load from safetensors") from error
    if any("pooler" not in name for name in found["missing_keys"]):
        # transformers would only warn, and start from random weights.
        raise TicketRouterError(f"{folder}: its weights are not those of its {config.model_type} encoder")
    if getattr(config, "is_encoder_decoder", False) or not hasattr(config, "hidden_size"):
        raise TicketRouterError(f"{folder}: a {config.model_type} model is no plain encoder; choose one like RoBERTa")
    config.id2label = dict(enumerate(space.flat_labels))
    config.label2id = {label: number for number, label in config.id2label.items()}
    return TicketClassifier(encoder, config, space.size, recipe.pooling)


def load_encoder(folder: Path, config: PretrainedConfig, recipe: Recipe) -> Encoder:
    """The tokenizer as the service uses it, with as many tokens as recipe and model allow.

    Raises:
        TicketRouterError: it cannot be read, or has tokens without a row in the embeddings.
    """
    pad_id = config.pad_token_id if config.pad_token_id is not None else 0
    max_tokens = min(recipe.max_tokens, usable_positions(config))
    path = folder / "tokenizer.json"
    try:
        encoder = Encoder(path.read_bytes(), max_tokens=max_tokens, pad_id=pad_id)
        largest = max(Tokenizer.from_file(str(path)).get_vocab().values())
    except Exception as error:  # tokenizers raises bare Exception on a file it cannot read
        raise TicketRouterError(f"{path}: not a tokenizer that can be read; download it anew") from error
    if largest >= config.vocab_size:
        raise TicketRouterError(f"{path}: belongs to another model, it has more tokens than the weights have rows")
    return encoder


def usable_positions(config: PretrainedConfig) -> int:
    """The largest number of tokens that the encoder supports."""
    positions = int(getattr(config, "max_position_embeddings", 512))
    if config.model_type in _OFFSET_POSITIONS:
        return positions - int(config.pad_token_id or 0) - 1
    return positions


def _hidden_dropout(config: PretrainedConfig) -> float:
    return next((float(getattr(config, name)) for name in _HIDDEN_DROPOUT if hasattr(config, name)), 0.1)


def _set_hidden_dropout(config: PretrainedConfig, dropout: float | None) -> None:
    for name in _HIDDEN_DROPOUT:
        if dropout is not None and hasattr(config, name):
            setattr(config, name, dropout)


def _without_pooler(config: PretrainedConfig) -> dict[str, Any]:
    """Skip the unused pooler of BERT-like encoders; other encoders do not accept this argument."""
    poolers = {"bert", "roberta", "xlm-roberta", "camembert", "mpnet", "xlm-roberta-xl"}
    return {"add_pooling_layer": False} if config.model_type in poolers else {}


def seeded(seed: int) -> None:
    """Seed every random generator of a run."""
    from transformers import set_seed

    set_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
