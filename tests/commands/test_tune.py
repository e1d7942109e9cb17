"""`training tune`: a real search with a tiny model, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.process import ROOT
from tests.support.training import Place, command, refused
from training.recipe import load_recipe


def arguments(place: Place, folder: Path, trials: int) -> list[object]:
    return [
        "tune", "--data", place.data, "--base", place.base, "--recipe", place.recipe, "--trials", trials,
        "--study", folder / "tune.db", "--out", folder / "best.toml", "--json",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_killed_search_resumes(place: Place, tmp_path: Path) -> None:
    """Killed in its second trial: the first is kept, the second is failed, and the same command ends with three."""
    line = [sys.executable, "-m", "training", *map(str, arguments(place, tmp_path, 3))]
    process = subprocess.Popen(line, cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 200
        while not (tmp_path / "best.toml").exists():  # written after the first trial
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    run = command(*arguments(place, tmp_path, 3))
    assert (run.code, run.err) == (0, "")
    found = json.loads(run.out)
    states = [trial["state"] for trial in found["trials"]]
    assert states[0] == "complete"
    assert states.count("complete") + states.count("pruned") == 3
    assert states.count("fail") <= 1
    start = load_recipe(place.recipe)
    first = found["trials"][0]["changed"]
    assert (first["epochs"], first["batch_size"]) == (start.epochs, start.batch_size)
    best = max(trial["macro_f1"] for trial in found["trials"] if trial["state"] == "complete")
    assert found["trials"][found["best"]]["macro_f1"] == best
    assert load_recipe(tmp_path / "best.toml").model_dump(mode="json") == found["recipe"]
    again = command(*arguments(place, tmp_path, 3))
    assert json.loads(again.out)["trials"] == found["trials"]


def test_a_search_with_a_missing_output_folder_is_refused(place: Place, tmp_path: Path) -> None:
    """Before any trial, with one line that names the folder."""
    wanted = [tmp_path / "none/best.toml" if part == tmp_path / "best.toml" else part for part in
              arguments(place, tmp_path, 1)]  # fmt: skip
    assert "--out" in refused(command(*wanted))
