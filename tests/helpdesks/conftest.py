from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.helpdesk import Helpdesk, running_helpdesk
from tests.support.helpdesks.django_helpdesk import DjangoHelpdesk, new_site, running_django
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


@pytest.fixture(scope="session")
def helpdesk_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new django-helpdesk: copied for each run, since its migrations take seconds."""
    folder = tmp_path_factory.mktemp("helpdesk") / "site"
    new_site(folder)
    return folder


@pytest.fixture
def helpdesk(helpdesk_site: Path, tmp_path: Path) -> Iterator[DjangoHelpdesk]:
    with running_django(helpdesk_site, tmp_path / "helpdesk") as running:
        yield running
