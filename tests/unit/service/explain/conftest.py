"""Engines with and without an n-gram model, on the same encoder."""

from pathlib import Path

import pytest

from service.inference.engine import Engine, open_engine
from service.settings import Settings


def engine_of(bundle: Path, folder: Path) -> Engine:
    return open_engine(Settings(bundle=bundle, state_dir=folder), lambda _report: None, bundle)


@pytest.fixture(scope="session")
def hybrid(hybrid_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine_of(hybrid_bundle_path, tmp_path_factory.mktemp("hybrid"))


@pytest.fixture(scope="session")
def plain(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return engine_of(tiny_bundle_path, tmp_path_factory.mktemp("plain"))
