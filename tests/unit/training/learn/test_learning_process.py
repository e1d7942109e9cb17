"""Fine-tuning in separate processes: killed and resumed, and several at once under torchrun."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.process import ROOT

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
WAIT_SECONDS = 600
SHORT = ("epochs=2",)
LONG = ("epochs=12",)
pytestmark = pytest.mark.timeout(1500)  # some seconds each on an idle machine


def start(*launcher: str, base: Path, store: Path, target: Path, changes: tuple[str, ...]) -> "subprocess.Popen[str]":
    command = [*launcher, "-m", "tests.support.learning", str(base), str(store), str(target), *changes]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=pipe, stderr=pipe, text=True)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=WAIT_SECONDS)
    return process.returncode, out, err


def killed_after(process: "subprocess.Popen[str]", seconds: float) -> bool:
    """Wait until training begins, and that long; then SIGKILL. False if training was done before."""
    assert process.stdout is not None
    assert process.stdout.readline() in ("training\n", "")
    time.sleep(seconds)
    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive


def same_in_the_end(base: Path, tmp_path: Path, kills: int, changes: tuple[str, ...], longest: float) -> int:
    """Train once without and once with kills at random moments; compare the weights. Returns the number of effective
    kills."""
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    code, figures, err = finish(start(sys.executable, base=base, store=tmp_path / "a", target=whole, changes=changes))
    assert code == 0, err
    generator = random.Random(13)
    struck = 0
    for _ in range(kills):
        process = start(sys.executable, base=base, store=tmp_path / "b", target=broken, changes=changes)
        struck += killed_after(process, generator.uniform(0.05, longest))
    code, again, err = finish(start(sys.executable, base=base, store=tmp_path / "b", target=broken, changes=changes))
    assert code == 0, err
    assert json.loads(again.splitlines()[-1]) == json.loads(figures.splitlines()[-1])
    wanted, found = load_file(whole), load_file(broken)
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    assert not list((tmp_path / "b").iterdir())
    return struck


def test_a_killed_run_resumes_to_the_same_weights(tiny_base: Path, tmp_path: Path) -> None:
    """SIGKILL during training, then the same command: bit by bit the uninterrupted run's weights, and its figures."""
    assert same_in_the_end(tiny_base, tmp_path, kills=1, changes=SHORT, longest=0.6) == 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_kills_at_random_moments_change_nothing(tiny_base: Path, tmp_path: Path) -> None:
    """Ten SIGKILLs at any point (in a step, in measuring, in saving): equal weights, tolerance 0."""
    assert same_in_the_end(tiny_base, tmp_path, kills=10, changes=LONG, longest=1.5) >= 5


def test_two_processes_train_one_model(tiny_base: Path, tmp_path: Path) -> None:
    """Real torchrun over gloo: both exit with 0, only the main one prints and writes, nothing of the run is left."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    target = tmp_path / "weights.safetensors"
    process = start(*launcher, base=tiny_base, store=tmp_path / "store", target=target, changes=("epochs=1",))
    code, out, err = finish(process)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "training"
    assert [each["epoch"] for each in json.loads(lines[1])] == [1.0]
    assert len(lines) == 2
    assert all(torch.isfinite(value).all() for value in load_file(target).values())
    assert not list((tmp_path / "store").iterdir())
