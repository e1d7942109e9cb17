"""Requirements of the machine: root on Debian, and tools; and how their failures are reported.

All other modules of this folder run commands through `run`.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence

PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap", "bwrap": "bubblewrap"}
"""Each tool with the Debian package that provides it."""
TAIL_LINES = 30


class ImageTestError(Exception):
    """The images cannot be built or misbehave; the message says how."""


def require_tools() -> None:
    """Install the tools that are missing.

    Raises:
        ImageTestError: not root, or not a Debian that has them.
    """
    if os.geteuid() != 0:
        raise ImageTestError("building images and entering them needs root; run it with sudo")
    missing = [package for tool, package in PACKAGES.items() if shutil.which(tool) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ImageTestError(f"{', '.join(missing)} are missing, and without apt-get they must be installed by hand")
    run("apt-get", "update", "-qq")
    run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", *missing)


def run(*command: str) -> str:
    """Run a command to its end, and return its standard output.

    Raises:
        ImageTestError: it failed; the message has the end of its output.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise ImageTestError(f"{_short(command)}: exit {done.returncode}\n{tail(done.stdout)}\n{tail(done.stderr)}")
    return done.stdout


def tail(text: str) -> str:
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def check(holds: bool, otherwise: str) -> None:
    """Raises:
    ImageTestError: `holds` is false; the message is `otherwise`."""
    if not holds:
        raise ImageTestError(otherwise)


def step(what: str, figure: str) -> None:
    print(f"  {what:<34}{figure}", flush=True)


def _short(command: Sequence[str]) -> str:
    return " ".join(command[:2])
