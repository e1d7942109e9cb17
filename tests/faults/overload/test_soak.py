"""The short form of `soak.py`: too short for a slope, long enough for a connection that stays open."""

from pathlib import Path

from tests.faults.soak import run

COUNT = 800
THREADS = 5
"""Pools start theirs as they need them."""
MEGABYTES = 40


def test_everything_clients_do_leaves_nothing_open(tiny_bundle_path: Path) -> None:
    """No fault and no 5xx among sound and hostile requests; then as many files as before."""
    found = run(tiny_bundle_path, COUNT)
    assert not found.soak.faults
    assert found.after.files == found.before.files
    assert found.after.threads - found.before.threads < THREADS
    assert found.after.megabytes - found.before.megabytes < MEGABYTES
