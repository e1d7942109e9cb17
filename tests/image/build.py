"""One target of the Dockerfile built by buildah, and the image's content: its configuration and its root folder."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image.host import run
from tests.image.pip import pip_flags
from tests.support.process import ROOT


@dataclass(frozen=True)
class Config:
    """How the image is to be run."""

    entrypoint: tuple[str, ...]
    env: dict[str, str]
    user: str
    workdir: str
    healthcheck: tuple[str, ...]
    stop_signal: str
    ports: frozenset[int]
    labels: dict[str, str]


def build(target: str, tag: str, *, context: Path = ROOT, **arguments: str) -> None:
    """Build a target; existing layers are used.

    Raises:
        ImageTestError: the build failed; the message ends with its last output.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
        # the docker format, because OCI's has no HEALTHCHECK
        how = ["--isolation", "chroot", "--format", "docker", "--layers", "--force-rm", "--pull-never"]
        run("buildah", "build", *how, *pip_flags(Path(folder)), "--target", target, "--tag", tag, *given, str(context))


def revision() -> str:
    """The commit the images are labelled with."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def config_of(tag: str) -> Config:
    held: dict[str, Any] = json.loads(run("buildah", "inspect", "--type", "image", tag))["Docker"]["config"]
    return Config(
        entrypoint=tuple(held["Entrypoint"]),
        env=dict(line.split("=", 1) for line in held["Env"]),
        user=held["User"],
        workdir=held["WorkingDir"],
        healthcheck=tuple(held.get("Healthcheck", {}).get("Test", ())[1:]),
        stop_signal=held.get("StopSignal", ""),
        ports=frozenset(int(port.split("/")[0]) for port in held.get("ExposedPorts") or {}),
        labels=held["Labels"],
    )


@contextlib.contextmanager
def mounted(tag: str) -> Iterator[Path]:
    """The image's root folder until the end of the block."""
    container = run("buildah", "from", "--pull-never", tag).strip()
    try:
        yield Path(run("buildah", "mount", container).strip())
    finally:
        run("buildah", "rm", container)


def megabytes(root: Path) -> float:
    """The size of a root folder, in MB of disk."""
    return int(run("du", "--summarize", "--block-size=1000", str(root)).split()[0]) / 1000
