from collections.abc import Iterator

import pytest

from tests.support.helpdesk import Helpdesk, running_helpdesk
from tests.support.postgres import Postgres, running_postgres


@pytest.fixture
def desk() -> Iterator[Helpdesk]:
    with running_helpdesk() as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def labels() -> dict[str, str]:
    """The departments of the tiny bundle, each with the id of a team."""
    return {label: f"T-{label}" for label in ("billing", "technical", "sales", "returns")}
