"""`python -m training` in tests: its outcome, its folders, and the common form of refusals."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import ROOT
from tests.support.rows import CANARY

RECIPE = """
epochs = 1
batch_size = 16
max_tokens = 32
arithmetic = "fp32"
[split]
validation = 0.15
calibration = 0.15
[data]
minimum_rows = 2
"""


PROGRESS = ("• ", "  epoch ")


@dataclass(frozen=True)
class Run:
    """The result of a command. `err`: standard error without the progress lines, which are in `progress`."""

    code: int
    out: str
    stderr: str

    @property
    def err(self) -> str:
        return "".join(line for line in self.stderr.splitlines(keepends=True) if not line.startswith(PROGRESS))

    @property
    def progress(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith(PROGRESS)]


Invoke = Callable[..., Run]


def command(*arguments: object, env: Mapping[str, str] | None = None) -> Run:
    """`python -m training …` as a separate process, with its output in pipes."""
    line = [sys.executable, "-m", "training", *map(str, arguments)]
    run = subprocess.run(line, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=240)
    return Run(run.returncode, run.stdout, run.stderr)


@dataclass(frozen=True)
class Place:
    """The folder in which tests train: a base model, sample tickets, a recipe, and the output of the first training."""

    base: Path
    data: Path
    recipe: Path
    store: Path
    run: Run

    @property
    def bundle(self) -> Path:
        return (self.store / "current").resolve()

    def arguments(self, store: Path, **changes: object) -> list[object]:
        options = {"data": self.data, "base": self.base, "recipe": self.recipe, "out": store, **changes}
        return ["train", "--allow-empty", *(part for name, value in options.items() for part in (f"--{name}", value))]


def refused(run: Run, *, store: Path | None = None) -> str:
    """Check that a command was refused in the common form, and return its one line."""
    assert run.code == 2, (run.out, run.err)
    assert run.out == ""
    lines = run.err.splitlines()
    assert len(lines) == 1, run.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in run.err
    assert CANARY not in run.err
    if store is not None:
        assert not store.exists() or os.listdir(store) == []
    return lines[0]
