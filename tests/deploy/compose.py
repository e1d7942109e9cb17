"""The content of `deploy/compose.yaml`, and the repository's files that it mounts."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.process import ROOT

FOLDER = ROOT / "deploy"
VARIABLES = {
    "GRAFANA_PASSWORD": "secret",
    "ROUTER_CERTIFICATES": "/certificates",
    "ROUTER_RECORDS_PASSWORD": "/password",
    "PATH": "/usr/bin:/bin",
}


def services() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return content["services"]  # type: ignore[no-any-return]


def rendered(*flags: str, variables: Mapping[str, str] = VARIABLES) -> "subprocess.CompletedProcess[str]":
    """`docker-compose … config`, which checks the files without Docker."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.fail("docker-compose is not on the PATH: apt-get install --no-install-recommends docker-compose")
    command = [program, *flags, "config"]
    return subprocess.run(command, cwd=FOLDER, env=variables, capture_output=True, text=True, timeout=60)


def mounted(service: str) -> dict[str, Path]:
    """The repository's files in this container: path in the container → path here."""
    pairs = (volume.split(":")[:2] for volume in services()[service]["volumes"])
    return {target: (FOLDER / source).resolve() for source, target in pairs if source.startswith(".")}


def substituted(text: str, paths: Mapping[str, Path]) -> str:
    """The text with a container's paths replaced by paths of this machine."""
    pattern = "|".join(re.escape(path) for path in sorted(paths, key=len, reverse=True))
    return re.sub(
        rf"(?<![\w/])(?:{pattern})(?=$|[/\s,\]])", lambda found: str(paths[found[0]]), text, flags=re.MULTILINE
    )
