"""What the serving image has: an environment with the service's dependencies and nothing else."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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
    """With the service's dependencies alone it gets ready, routes over HTTP and drains."""
    port, management = _free_port(), _free_port()
    command = [str(slim), "-m", "service", "--bundle", str(tiny_bundle_path), "--port", str(port)]
    environment = {"PATH": os.environ["PATH"]}
    process = subprocess.Popen([*command, "--management-port", str(management)], cwd=ROOT, env=environment)
    try:
        _await_ready(management)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/route",
            data=json.dumps({"subject": "Invoice", "body": "I was charged twice."}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["outcome"] in {"route", "suggest", "review"}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_terminal_command_decides_without_torch(slim: Path, tiny_bundle_path: Path) -> None:
    """`python -m service route` works in the serving image too."""
    command = [str(slim), "-m", "service", "route", "--bundle", str(tiny_bundle_path), "--subject", "Hello", "--json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)["model"]["variant"] == "fp32"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(port: int, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the service did not get ready")
