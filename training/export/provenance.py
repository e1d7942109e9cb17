"""Where a bundle comes from: data digest, recipe, code revision, package versions. What makes a run repeatable."""

import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from training.data.source import TicketFile
from training.learn.base import origin_of
from training.recipe import Recipe

_PACKAGES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers", "numpy")
_ROOT = Path(__file__).resolve().parent.parent


def lineage(file: TicketFile, recipe: Recipe, base: Path) -> dict[str, Any]:
    """The provenance that goes into the manifest: nothing in it changes when the same run is made again."""
    return {
        "data": file.origin(),
        "recipe": recipe.model_dump(mode="json"),
        "base": origin_of(base),
        "code": code_revision(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def code_revision() -> str:
    """The git commit, `+changed` behind it when the tree differs from it; `unknown` outside a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        # Without its optional lock: killed while it has that, git would refuse every commit from then on.
        return f"{commit}+changed" if _git("--no-optional-locks", "status", "--porcelain") else commit
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", *arguments]  # fixed words only, and git's place differs from machine to machine
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603
    return run.stdout.strip()
