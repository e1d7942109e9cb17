"""The short form of `python -m tests.faults.record_kills`, in a process of its own, because it forks."""

import subprocess
import sys
from pathlib import Path


def test_acknowledged_decisions_survive_kills_once_each() -> None:
    command = [sys.executable, "-m", "tests.faults.record_kills", "--count", "5"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("0 lost, 0 twice") == 2
