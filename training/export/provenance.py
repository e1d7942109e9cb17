"""The origin of a bundle: data digest, recipe, code revision, package versions. With these, a run can be repeated."""

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.build import build
from training.data.source import TicketFile
from training.learn.base import origin_of
from training.recipe import Recipe

_PACKAGES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers", "numpy")
_ROOT = Path(__file__).resolve().parent.parent


def lineage(file: TicketFile, recipe: Recipe, base: Path) -> dict[str, Any]:
    """The provenance for the manifest: the same run gives the same provenance."""
    return {
        "data": file.origin(),
        "recipe": recipe.model_dump(mode="json"),
        "base": origin_of(base),
        "code": code_revision(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def code_revision() -> str:
    """The git commit, with `+changed` if the tree differs from it; without git, the build's own revision."""
    try:
        commit = _git("rev-parse", "HEAD")
        # Without git's optional lock: if git were killed while holding the lock file, every later commit would fail.
        return f"{commit}+changed" if _git("--no-optional-locks", "status", "--porcelain") else commit
    except (OSError, subprocess.SubprocessError):
        return build().revision


def _git(*arguments: str) -> str:
    command = ["git", *arguments]  # fixed words only; the path of git differs between machines
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    return run.stdout.strip()
