from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import Service, serving
from tests.support.reloading import Shelf, two_bundles


@pytest.fixture
def shelf(tiny_bundle_path: Path, tmp_path: Path) -> Shelf:
    return two_bundles(tiny_bundle_path, tmp_path / "shelf")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def running(shelf: Shelf, state: Path) -> Iterator[Service]:
    with serving(shelf.current, "--state-dir", str(state)) as service:
        yield service
