"""The environment of the serving image: the service's dependencies and nothing else."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.process import ROOT, serving

PYTHON = ROOT / ".venv-service" / "bin" / "python"
FORBIDDEN = ("torch", "transformers", "optimum", "onnx", "sklearn", "datasets")


@pytest.fixture
def slim() -> Path:
    """The slim environment's interpreter; `make test` makes the environment."""
    assert PYTHON.exists(), "no .venv-service: run `make service-env`, or `make test`, which does"
    return PYTHON


@pytest.mark.parametrize("name", FORBIDDEN)
def test_the_service_environment_has_no_training_library(slim: Path, name: str) -> None:
    """The serving image cannot import what only training needs."""
    run = subprocess.run([str(slim), "-c", f"import {name}"], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in run.stderr


def test_the_service_starts_and_routes_without_torch(slim: Path, tiny_bundle_path: Path) -> None:
    """Becomes ready, routes over HTTP and drains."""
    with (
        serving(tiny_bundle_path, python=slim, env={"PATH": os.environ["PATH"]}) as service,
        service.client() as client,
    ):
        answer = client.post("/v1/route", json={"subject": "Invoice", "body": "I was charged twice."})
        assert answer.json()["outcome"] in {"route", "suggest", "review"}
        assert service.stop() == 0


def test_the_terminal_command_decides_without_torch(slim: Path, tiny_bundle_path: Path) -> None:
    """`python -m service route`."""
    command = [str(slim), "-m", "service", "route", "--bundle", str(tiny_bundle_path), "--subject", "Hello", "--json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)["model"]["variant"] == "fp32"
