"""Fixtures with every rendered folder of the manifests."""

import pytest

from tests.manifests.render import FOLDERS, OVERLAYS, Rendered, render


@pytest.fixture(params=FOLDERS)
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """Each folder: the overlays, the combinations that no overlay has, the volumes."""
    return render(FOLDERS[request.param])


@pytest.fixture(params=[*OVERLAYS, "everything"])
def deployed(request: pytest.FixtureRequest) -> Rendered:
    """Each folder that deploys the service."""
    return render(FOLDERS[request.param])


@pytest.fixture(params=["cpu", "everything"])
def retraining(request: pytest.FixtureRequest) -> Rendered:
    """Each folder that retrains."""
    return render(FOLDERS[request.param])
