"""Several fine-tuned networks as one, with the mean of their logits: what folds of encoders serve.

Their hidden states are concatenated, and so are their pooled vectors; the mean of their heads is one linear layer on
these. A ticket costs as much as in all networks together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from training.learn.classifier import TicketClassifier
from training.learn.linear.head import LinearHead, mean_head


class EncoderEnsemble(nn.Module):
    """Encoders whose hidden states are concatenated: [rows, tokens, sum of their widths]."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        hidden = [member(**inputs).last_hidden_state for member in self.members]
        return BaseModelOutput(last_hidden_state=torch.cat(hidden, dim=-1))  # type: ignore[arg-type]  # its type is FloatTensor


def ensemble_of(networks: Sequence[TicketClassifier]) -> tuple[TicketClassifier, tuple[LinearHead, ...]]:
    """The mean of networks with mean pooling, and each network's own head on the pooled vector of the whole."""
    first, width = networks[0], networks[0].head.in_features
    labels = first.head.out_features
    encoders = EncoderEnsemble([network.encoder for network in networks])
    whole = TicketClassifier(encoders, first.config, labels, first.pooling, width=width * len(networks))
    heads = []
    for number, network in enumerate(networks):
        weight = np.zeros((labels, width * len(networks)), np.float32)
        weight[:, number * width : (number + 1) * width] = network.head.weight.detach().cpu().numpy()
        heads.append(LinearHead(weight, network.head.bias.detach().cpu().numpy()))
    mean_head(heads).put_into(whole)
    return whole.eval(), tuple(heads)
