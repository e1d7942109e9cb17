"""Fixtures of the whole suite. The tiny bundle is made once: it costs some ten seconds, most of it importing torch."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.process import Service, serving

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: torch's threads would only wait for each other
settings.register_profile("suite", deadline=None)  # no test measures time: the machine may be busy
settings.load_profile("suite")


@pytest.fixture(scope="session")
def tiny_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random-weights bundle."""
    from tests.support.tiny import tiny_bundle  # here, so that tests without it don't import torch

    return tiny_bundle(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def hybrid_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny bundle with the same encoder and an n-gram model."""
    from tests.support.tiny import tiny_bundle

    return tiny_bundle(tmp_path_factory.mktemp("hybrid"), hybrid=True)


@pytest.fixture(scope="session")
def service(tiny_bundle_path: Path) -> Iterator[Service]:
    """A running service with the tiny bundle. Shared: tests leave it as they found it."""
    with serving(tiny_bundle_path) as running:
        yield running
