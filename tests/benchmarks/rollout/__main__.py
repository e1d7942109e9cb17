"""Rehearses an operator's work on three services behind a proxy, under load, and counts lost requests.

    python -m tests.benchmarks.rollout [--bundle BUNDLE] [--requests 20000] [--rate 100]

Without --bundle a tiny model is made first. The proxy is haproxy with deploy/haproxy.cfg. Mail comes at random times;
every answer is checked: its status, its ticket's id, and the version that it names. In turn: nothing; rolling restarts,
announced to the proxy and unannounced, during so many requests each; a bundle rolled out and back by reloads and by a
restart; a damaged bundle; a killed service. Ends with 1 if anything other than the kill lost a request.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundle.bundle import open_bundle
from models.errors import TicketRouterError
from tests.benchmarks.reload import other_version
from tests.benchmarks.rollout.members import members
from tests.benchmarks.rollout.moves import Moves
from tests.benchmarks.rollout.phases import HEAD, Phase, PhaseLog
from tests.benchmarks.rollout.proxy import haproxy
from tests.benchmarks.rollout.traffic import Traffic
from tests.benchmarks.serving.connection import Target
from tests.support.spoiled import damaged

STEADY_SECONDS = 15.0
LEAVE_SECONDS = 2.0
KILLS = 5
KILL = f"kill -9 of one, {KILLS} times"
NOTHING_WRONG = "nothing lost (kills aside), and every answer named a version that was served"


@dataclass(frozen=True, slots=True)
class StoredBundles:
    """Three bundles side by side in one store."""

    first: Path
    second: Path
    damaged: Path


class Rehearsal:
    """The phases in order. `requests` is the least number of requests during the rolling restarts of each kind."""

    def __init__(
        self, moves: Moves, phase_log: PhaseLog, traffic: Traffic, stored: StoredBundles, requests: int
    ) -> None:
        self._moves = moves
        self._log = phase_log
        self._traffic = traffic
        self._stored = stored
        self._requests = requests

    def run(self) -> None:
        first, second = self._stored.first, self._stored.second
        with self._log.phase("nothing happens"):
            time.sleep(STEADY_SECONDS)
        with self._log.phase("rolling restarts, announced"):
            self._often(lambda: self._moves.restart(first))
        with self._log.phase("rolling restarts, unannounced"):
            self._often(lambda: self._moves.restart_unannounced(first))
        self._roll("roll-out by reloads", second, len(self._moves.members))
        self._roll("back by reloads", first, len(self._moves.members))
        self._roll("roll-out of a damaged bundle", self._stored.damaged, 0)
        with self._log.phase("roll-out by a rolling restart"):
            self._moves.restart(second)
        with self._log.phase(KILL):
            for _ in range(KILLS):
                self._moves.kill(second)

    def _often(self, move: Callable[[], None]) -> None:
        enough = len(self._traffic.asked) + self._requests
        while len(self._traffic.asked) < enough:
            move()

    def _roll(self, name: str, bundle: Path, serving: int) -> None:
        with self._log.phase(name):
            served = self._moves.roll_out(bundle.name)
            assert served == serving, f"{name}: {served} members serve {bundle.name}, not {serving}"
        with self._log.phase(f"after: {name}"):
            time.sleep(LEAVE_SECONDS)


def expected(stored: StoredBundles) -> dict[str, set[str]]:
    """The versions that answers of a phase may name; by default only the first."""
    both, second = {stored.first.name, stored.second.name}, {stored.second.name}
    during = dict.fromkeys(("roll-out by reloads", "back by reloads", "roll-out by a rolling restart"), both)
    return during | {"after: roll-out by reloads": second, KILL: second}


def complaints(phases: Sequence[Phase], stored: StoredBundles) -> Iterator[str]:
    """Faults: a loss in any phase but the kills, and an answer of a version that is not served."""
    for phase in phases:
        allowed = expected(stored).get(phase.name, {stored.first.name})
        if phase.faults and phase.name != KILL:
            yield f"{phase.name}: {phase.faults}"
        if not phase.versions <= allowed:
            yield f"{phase.name}: answers of {sorted(phase.versions - allowed)}"


def rehearse(bundle: Path, folder: Path, rate: float, requests: int) -> int:
    """Run and print all phases. Returns the exit status."""
    stored = store_of_three(bundle, folder / "store")
    with (
        members(stored.first, folder) as services,
        haproxy(services, folder) as proxy,
        Traffic(Target(proxy.port), rate) as traffic,
    ):
        phase_log = PhaseLog(traffic, proxy)
        Rehearsal(Moves(services, proxy, LEAVE_SECONDS), phase_log, traffic, stored, requests).run()
    phases = phase_log.phases()
    print("\n".join((HEAD, *(phase.row() for phase in phases))))
    wrong = list(complaints(phases, stored))
    print("\n".join(wrong) or NOTHING_WRONG)
    return 1 if wrong else 0


def store_of_three(bundle: Path, store: Path) -> StoredBundles:
    """The bundle, another version of it, and a damaged one."""
    first = Path(shutil.copytree(bundle.resolve(), store / bundle.resolve().name))
    return StoredBundles(first, other_version(open_bundle(first), store), damaged(first, store))


def tiny(folder: Path) -> Path:
    from tests.support.tiny import tiny_bundle  # import torch only where a model is made

    return tiny_bundle(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--requests", type=int, default=20_000, help="for each kind of rolling restart")
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            bundle = arguments.bundle or tiny(folder / "tiny")
            return rehearse(bundle, folder, arguments.rate, arguments.requests)
    except TicketRouterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
