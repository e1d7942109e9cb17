"""`make loop` runs through and its claims hold; some minutes."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
_ROOT = Path(__file__).resolve().parents[2]


def test_a_quarter_of_a_helpdesks_life_holds_what_it_claims() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "training.demo.loop"], cwd=_ROOT, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert (_ROOT / "loop" / "loop.svg").read_text().startswith("<?xml")
