from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from ulid import ULID

from tests.support.desk import chromium
from tests.support.postgres import Postgres, running_postgres
from tests.support.process import Service, serving


@dataclass(frozen=True)
class Running:
    service: Service
    state: Path


@pytest.fixture(scope="module")  # while it runs, `asyncio.run` is refused in this thread
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def running(tiny_bundle_path: Path, tmp_path: Path) -> Iterator[Running]:
    """A service with the desk, without keys, that stores texts."""
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--records-text", "true")
    with serving(tiny_bundle_path, *flags) as service:
        yield Running(service, tmp_path)


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
