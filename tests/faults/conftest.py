"""A service with short time limits, that is not shared with other test modules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import Service, serving


@pytest.fixture(scope="module")
def short_limits(tiny_bundle_path: Path) -> Iterator[Service]:
    """Shared: tests leave it as they found it."""
    with serving(tiny_bundle_path, module="tests.faults.servers.short_limits") as running:
        yield running
