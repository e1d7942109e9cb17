"""A virtual environment for each peer: made on first use, kept, and made again when its pins change.

onnxruntime and tokenizers get the versions given here, so that every server computes with the same code.
"""

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from models.errors import TicketRouterError

REQUIREMENTS = Path(__file__).parent / "peers" / "requirements"
SHARED = ("onnxruntime", "tokenizers")
TORCH = {"infinity": "torch==2.13.0"}
"""Installed first and alone: together with the rest, it may bring several GB of GPU packages."""
_MARK = "made-of"


class NotMade(TicketRouterError):
    """A peer's environment cannot be made."""


def interpreter(name: str, folder: Path) -> Path:
    """The Python of a peer's environment inside `folder`.

    Raises:
        NotMade: pip failed; the message has its last line.
    """
    place = folder / name
    asked = pins(name)
    mark = place / _MARK
    if not mark.exists() or mark.read_text() != "\n".join(asked):
        shutil.rmtree(place, ignore_errors=True)
        _run(name, sys.executable, "-m", "venv", str(place))
        pip = (str(place / "bin" / "python"), "-m", "pip", "install", "--quiet")
        for step in (["--upgrade", "pip>=25.1"], [TORCH[name]] if name in TORCH else [], asked):
            if step:
                _run(name, *pip, *step)
        mark.write_text("\n".join(asked))
    return place / "bin" / "python"


def pins(name: str) -> list[str]:
    """The requirements of a peer's environment."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text().splitlines()
    own = [requirement for line in lines if (requirement := line.partition("#")[0].strip())]
    return [*own, *(f"{package}=={version(package)}" for package in SHARED)]


def _run(name: str, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotMade(f"the environment for {name} cannot be made: {last}")
