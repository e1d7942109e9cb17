from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.helpdesk.django_helpdesk import DjangoHelpdesk, new_site, running_helpdesk


@pytest.fixture(scope="session")
def helpdesk_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new django-helpdesk: copied for each run, since its migrations take seconds."""
    folder = tmp_path_factory.mktemp("helpdesk") / "site"
    new_site(folder)
    return folder


@pytest.fixture
def helpdesk(helpdesk_site: Path, tmp_path: Path) -> Iterator[DjangoHelpdesk]:
    with running_helpdesk(helpdesk_site, tmp_path / "helpdesk") as running:
        yield running
