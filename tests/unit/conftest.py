"""What several unit tests of training share: the tiny base model, saved once."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `--base` wants it: a tiny random RoBERTa."""
    from tests.support.tiny import tiny_roberta  # here, so that tests without it don't import torch

    return tiny_roberta(tmp_path_factory.mktemp("base"))
