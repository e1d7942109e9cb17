"""Fixtures of training's unit tests: the tiny base model, saved once, and loaded once for each of them."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from models.encoding import Encoder
    from training.learn.classifier import TicketClassifier


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `--base` wants it: a tiny random RoBERTa."""
    from tests.support.tiny import tiny_roberta  # here, so that tests without it don't import torch

    return tiny_roberta(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> "TicketClassifier":
    """The tiny base with a new head for `tests.support.learning.SPACE`; tests leave its weights unchanged."""
    from tests.support.learning import SPACE
    from training.learn.classifier import load_classifier
    from training.recipe import Recipe

    return load_classifier(tiny_base, SPACE, Recipe())


@pytest.fixture(scope="module")
def encoder(tiny_base: Path, model: "TicketClassifier") -> "Encoder":
    """The tiny base's tokenizer, truncating at 32 tokens."""
    from training.learn.classifier import load_encoder
    from training.recipe import Recipe

    return load_encoder(tiny_base, model.config, Recipe(max_tokens=32))
