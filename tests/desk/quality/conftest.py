from collections.abc import Iterator

import pytest
from ulid import ULID

from tests.support.postgres import Postgres, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def records(request: pytest.FixtureRequest) -> str:
    """The setting of the same name, once for each database."""
    if request.param == "sqlite":
        return "sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database(str(ULID()).lower())
