"""The short form of `soak.py`: too short for a slope, long enough to find a connection that stays open."""

from pathlib import Path

from tests.faults.soak import run

COUNT = 800
THREADS = 5
"""Thread pools start threads when they need them."""
MEGABYTES = 40


def test_a_mix_of_all_requests_leaves_nothing_open(tiny_bundle_path: Path) -> None:
    """No failure and no 5xx among valid and hostile requests; then as many open files as before."""
    found = run(tiny_bundle_path, COUNT)
    assert not found.soak.faults
    assert found.after.files == found.before.files
    assert found.after.threads - found.before.threads < THREADS
    assert found.after.megabytes - found.before.megabytes < MEGABYTES
