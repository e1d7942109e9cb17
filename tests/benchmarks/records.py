"""What the record of decisions costs: the service with it off, in SQLite and in PostgreSQL, in turn.

    python -m tests.benchmarks.records --bundle BUNDLE [--rounds 5] [--callers 1 64] [--folder FOLDER]

Three real processes with the same bundle answer short tickets over HTTP, one at a time, in another order each round;
every ticket has an id of its own, and no answer is cached. Printed: throughput as a share of that with the record off,
from the same round; what the record adds to the median time, and beside it the time of one bare fsync on the same disk,
which every lone decision waits for. Both databases keep their files in `--folder`.
"""

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from ulid import ULID

from models.bundle.bundle import open_bundle
from tests.benchmarks.overhead import CALLERS, SHORT_TEXTS, WARM_SECONDS, Figures, middle
from tests.benchmarks.serving.connection import post
from tests.benchmarks.serving.load import Window, closed_loop
from tests.benchmarks.serving.servers import ours, running
from tests.benchmarks.serving.tickets import short_texts, workload
from tests.support.postgres import running_postgres

SECONDS = 5.0
FSYNCS = 200
PAGE = 4096


def tickets(path: str, texts: Sequence[str]) -> Iterator[bytes]:
    """Requests without end; none repeats an earlier one."""
    prefix = ULID()
    for number, text in enumerate(itertools.cycle(texts)):
        yield post(path, {"id": f"{prefix}-{number}", "subject": "", "body": text})


def fsync_ms(folder: Path) -> float:
    """Median milliseconds of an fsync after a page was appended, as for SQLite's log."""
    seconds = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            file.write(bytes(PAGE))
            started = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - started)
    return 1000 * median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a window")
    parser.add_argument("--folder", type=Path, help="on the disk to measure, open to all users; the system's for files")
    asked = parser.parse_args()
    tempfile.tempdir = None if asked.folder is None else str(asked.folder.absolute())
    texts = workload(short_texts(), open_bundle(asked.bundle), SHORT_TEXTS)
    print(f"{texts.describe()}; medians of {asked.rounds} rounds (lowest-highest)")
    with tempfile.TemporaryDirectory() as name, running_postgres() as postgres, contextlib.ExitStack() as stack:
        folder = Path(name)
        started = {}
        for kind, records in {"off": "off", "sqlite": "sqlite", "postgresql": postgres.new_database("router")}.items():
            state = ("--state-dir", str(folder / kind), "--log-level", "warning", "--cache-entries", "0")
            server = ours(kind, "--records", records, *state)
            log = folder / f"{kind}.log"
            started[kind] = stack.enter_context(running(server, asked.bundle, Path(sys.executable), log))
        for callers in asked.callers:
            found: dict[str, list[Figures]] = {kind: [] for kind in started}
            fsyncs = []
            for turn in range(asked.rounds):
                fsyncs.append(fsync_ms(folder))
                kinds = list(started)
                for kind in kinds[turn % len(kinds) :] + kinds[: turn % len(kinds)]:
                    one = started[kind]
                    window = Window(WARM_SECONDS, asked.seconds, one.family.cpu_seconds)
                    load = closed_loop(one.target, tickets(server.path, texts.texts), callers, window)
                    found[kind].append(Figures.of(load))
            _print(callers, found, fsyncs)


def _print(callers: int, found: Mapping[str, Sequence[Figures]], fsyncs: Sequence[float]) -> None:
    print(f"{callers} callers; a bare fsync {middle(fsyncs)} ms")
    for kind, figures in found.items():
        print(
            f"  {kind:10s} tickets/s {median(each.rate for each in figures):.0f}, ms "
            f"{median(each.median for each in figures):.2f}, p99 {median(each.high for each in figures):.2f}, CPU ms a "
            f"ticket {median(each.cpu for each in figures):.2f}, errors {sum(each.wrong for each in figures)}"
        )
    off = found["off"]
    for kind in ("sqlite", "postgresql"):
        pairs = list(zip(found[kind], off, strict=True))
        added = [on.median - without.median for on, without in pairs]
        beyond = [each - fsync for each, fsync in zip(added, fsyncs, strict=True)]
        print(f"  {kind} / off: throughput {middle(on.rate / without.rate for on, without in pairs)}")
        print(f"    added at the median {middle(added)} ms, beyond one fsync {middle(beyond)} ms", flush=True)


if __name__ == "__main__":
    main()
