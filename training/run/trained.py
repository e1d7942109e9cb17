"""The result of training: a network, and the data for calibrating, exporting and writing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.encoding import Encoder
from training.learn.classifier import TicketClassifier
from training.learn.finetune import EpochFigures
from training.run.dataset import Material, Part
from training.run.request import TrainRequest


@dataclass(frozen=True, slots=True)
class Learned:
    """`model` holds the best epoch's weights; `base` is the folder of its configuration and tokenizer."""

    request: TrainRequest
    base: Path
    model: TicketClassifier
    encoder: Encoder
    material: Material
    parts: Mapping[str, Part]
    epochs: tuple[EpochFigures, ...]
