"""The sound bundle that tests of the folder open, copy and damage."""

import shutil
from pathlib import Path

import pytest

from tests.support.plain import plain_bundle


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound bundle; tests leave it unchanged."""
    return plain_bundle(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def copied(plain: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(plain, tmp_path / plain.name))
