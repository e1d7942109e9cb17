from collections.abc import Iterator

import pytest
from ulid import ULID

from tests.support.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running server. Shared: tests that stop it start it again."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """A new, empty database."""
    return postgres.new_database(str(ULID()).lower())


@pytest.fixture(params=["sqlite", "postgresql"])
def records(request: pytest.FixtureRequest) -> str:
    """The setting of the same name, once for each database."""
    url: str = request.getfixturevalue("postgres_url") if request.param == "postgresql" else "sqlite"
    return url
