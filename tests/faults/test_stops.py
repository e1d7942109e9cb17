"""SIGTERM and SIGKILL under load: the short forms of `drains.py` and `restarts.py`."""

from pathlib import Path
from random import Random

from tests.faults.drains import drain
from tests.faults.load import REFUSED
from tests.faults.restarts import new_place, run

DRAINS = 3
KILLS = 3
LONGEST_SECONDS = 15
"""From SIGKILL to the first 200, on a machine that runs other tests too; docs/reliability.md has the figure."""


def test_a_drain_under_load_loses_nothing(tiny_bundle_path: Path) -> None:
    """Whatever was sent on a connection is answered, none with a 5xx; exit status 0."""
    for number in range(DRAINS):
        found = drain(tiny_bundle_path, Random(number))
        assert found.held, found
        assert found.under_way, "the load was over before the signal"
        assert found.tally.ends[REFUSED], "nobody came after the port had closed"


def test_a_killed_service_starts_again_with_everything_whole(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Bundle and tuned plan are as they were, and the first answer comes in seconds."""
    found = run(new_place(tiny_bundle_path, tmp_path), KILLS)
    assert all(each.under_way and each.seconds < LONGEST_SECONDS for each in found), found
