"""SIGKILL at any moment of writing, fetching and promoting bundles: `python -m tests.faults.kills --count 1000`.

After each kill `current` must lead to a whole bundle, every visible entry of the store must be whole, and the next run
must succeed. One process forks the others, so that a kill costs milliseconds.
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
"""Large enough for a kill in the middle of it."""


def write_many(store: Path, random: Random) -> None:
    """Training runs, one after another."""
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
    """Deliveries of present and of absent bundles; some of the present ones are damaged."""
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
            os._exit(1)  # never return into the parent's code
    os.setpgid(child, child)  # the child does the same; the first of the two succeeds
    time.sleep(random.random() * LONGEST_SECONDS)
    # kill the group: a promotion runs git for the revision, and the git process holds the store's lock until it execs
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
    """Every entry that a service or a person sees is whole, and the history names the bundle that `current` leads
    to."""
    open_bundle(store / "current")
    for path in _bundles(store):
        assert open_bundle(path).version == path.name
    with promotions.locked(store):  # finishes or undoes what a killed promotion left
        records = promotions.history(store)
    assert all(each.to_version != each.from_version for each in records)


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
    """The visible entries: `current` is a link to one of them; unfinished ones have a name with a leading dot."""
    return sorted(path for path in store.iterdir() if path.is_dir() and path.name[0] != "." and not path.is_symlink())


def _forget(store: Path, random: Random) -> None:
    """Delete all but a few bundles, and what kills left, so that there is something to write and space for it."""
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
