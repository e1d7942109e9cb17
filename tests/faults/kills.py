"""SIGKILL at any moment of writing, fetching and promoting bundles: `python -m tests.faults.kills --count 1000`.

`current` must lead to a whole bundle each time, whatever is visible in the store must be whole, and the next run must
go on. One process forks the others, so that a kill costs milliseconds.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

from models.bundle.bundle import open_bundle, write_bundle
from models.errors import TicketRouterError
from service.logs import configure_logging
from tests.support.delivery import deliver, digest_of, packed
from tests.support.plain import draft, files, plain_bundle
from tests.support.waiting import wait_until
from training import registry as promotions

LONGEST_SECONDS = 0.06
FIRST = {"model.onnx": bytes(2_000_000)}
"""Large enough that a kill may come in the middle of it."""


def write_many(store: Path, random: Random) -> None:
    """Training, run after run."""
    while True:
        write_bundle(store, draft(base_model=str(random.random())), files() | FIRST)


def promote_many(store: Path, random: Random) -> None:
    versions = [path.name for path in _bundles(store)]
    while True:
        version = random.choice(versions)
        with promotions.locked(store):
            if promotions.current_version(store) != version:
                promotions.move(store, version, "promote")


def fetch_many(store: Path, random: Random) -> None:
    """Deliveries, of bundles that are there and of ones that are not; some of those there are found damaged."""
    archives = sorted((store.parent / "archives").iterdir())
    while True:
        archive = random.choice(archives)
        deliver(archive, digest_of(archive), store)


WORK: tuple[Callable[[Path, Random], None], ...] = (write_many, promote_many, fetch_many)


def kill_once(work: Callable[[Path, Random], None], store: Path, random: Random) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, 0)
            work(store, random)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # never back into what the parent was doing
    os.setpgid(child, child)  # as the child does itself: whoever comes first
    time.sleep(random.random() * LONGEST_SECONDS)
    # The group, for a promotion asks git for the revision, and git's process has the store's lock until it is git.
    os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    wait_until(lambda: _unlocked(store))
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "it failed before it was killed"


def _unlocked(store: Path) -> bool:
    try:
        with promotions.locked(store):
            return True
    except TicketRouterError:
        return False


def check(store: Path) -> None:
    """Everything that a service or a person sees there is whole, and the history says where `current` leads."""
    open_bundle(store / "current")
    for path in _bundles(store):
        assert open_bundle(path).version == path.name
    with promotions.locked(store):  # it settles what a killed promotion left
        told = promotions.history(store)
    assert all(each.to_version != each.from_version for each in told)


def run(folder: Path, count: int, seed: int) -> None:
    random, store = Random(seed), folder / "store"
    (folder / "archives").mkdir()
    for name in "abc":
        made = write_bundle(folder / "made", draft(base_model=name), files() | FIRST)
        packed(made, folder / "archives" / f"{name}.tar")
    promotions.make_first(store, plain_bundle(store).name)
    plain_bundle(store, draft(base_model="second"))
    for number in range(count):
        kill_once(WORK[number % len(WORK)], store, random)
        check(store)
        _forget(store, random)


def _bundles(store: Path) -> list[Path]:
    """What is visible there: `current` is a link to one of them, and what is being made has a dot before its name."""
    return sorted(path for path in store.iterdir() if path.is_dir() and path.name[0] != "." and not path.is_symlink())


def _forget(store: Path, random: Random) -> None:
    """All but a few bundles go, and what kills left: there is to be something to write, and room for it."""
    kept = (store / "current").resolve()
    made = [path for path in _bundles(store) if path != kept]
    for path in (*random.sample(made, max(0, len(made) - 2)), *store.glob(".staging-*")):
        shutil.rmtree(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    configure_logging("error")
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        run(Path(folder), arguments.count, arguments.seed)
    print(f"{arguments.count} kills: current led to a whole bundle after each")


if __name__ == "__main__":
    sys.exit(main())
