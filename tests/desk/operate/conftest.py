from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk.operate.person import Person
from tests.support.curved import metrics_json, with_metrics
from tests.support.desk import visitor
from tests.support.keys import Known, file_of
from tests.support.process import Service, serving

REVIEWER = Known("rita", ("review",))
ADMIN = Known("adam", ("admin", "route"))


@pytest.fixture(scope="session")
def curved_bundle(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_metrics(tiny_bundle_path, tmp_path_factory.mktemp("curved"), metrics_json())


@pytest.fixture(scope="session")
def desk(curved_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a desk, keys and a bundle with a curve. Shared: tests take back what they switch."""
    folder = tmp_path_factory.mktemp("desk")
    keys = folder / "keys.toml"
    keys.write_text(file_of(REVIEWER, ADMIN))
    keys.chmod(0o600)
    with serving(
        curved_bundle, "--state-dir", str(folder / "state"), "--desk", "true", "--keys-file", str(keys)
    ) as service:
        yield service


@pytest.fixture(scope="session")
def reviewer(desk: Service) -> Iterator[Person]:
    with visitor(desk, REVIEWER.key) as client:
        yield Person(client)


@pytest.fixture(scope="session")
def admin(desk: Service) -> Iterator[Person]:
    with visitor(desk, ADMIN.key) as client:
        yield Person(client)
