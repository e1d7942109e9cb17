"""What a shadow that gets every ticket costs the serving bundle: throughput at full load, latency at a third of it.

    python -m tests.benchmarks.shadow --bundle BUNDLE [--rounds 12] [--runners 1] [--callers 64]

Two services with a record in SQLite run side by side, one with a shadow (the same bundle under another version),
and take turns in a new order each round: closed loops of `--callers`, then open loops at a third of the throughput that
the one without a shadow showed. `--runners 1` leaves the other cores free. Without cache, short texts. Printed:
medians of all rounds, and what the shadow made of its tickets.
"""

import argparse
import contextlib
import random
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import numpy as np

from models.bundle.bundle import open_bundle
from tests.benchmarks.serving.connection import Target, post
from tests.benchmarks.serving.load import OK, Load, Window, closed_loop, open_loop
from tests.benchmarks.serving.tickets import short_texts, workload
from tests.support.challenging import put_and_wait
from tests.support.process import Service, serving
from tests.support.reloading import two_bundles

TEXTS = 640
WARM_SECONDS, SECONDS = 1.0, 4.0
RESULTS = ("computed", "shed", "failed", "unrecorded")


class Turns:
    """The figures of all rounds, by name: with and without a shadow."""

    def __init__(self, services: Mapping[str, Service], requests: list[bytes]) -> None:
        self._services = services
        self._requests = requests
        self.figures: dict[tuple[str, str], list[float]] = {}
        self.offered: dict[str, dict[str, float]] = {}

    def closed(self, name: str, callers: int) -> None:
        load = self._measured(
            name, "closed", lambda target, window: closed_loop(target, self._requests, callers, window)
        )
        self._add(name, "tickets/s", len(load.finished()) / load.seconds)

    def open(self, name: str, rate: float, seed: int) -> None:
        load = self._measured(
            name, "open", lambda target, window: open_loop(target, self._requests, rate, window, seed)
        )
        waits = [1000 * (answer.finished - answer.due) for answer in load.due()]
        for percent in (50, 95, 99):
            self._add(name, f"{percent} % within ms", float(np.percentile(waits, percent)))

    def _measured(self, name: str, kind: str, run: Callable[[Target, Window], Load]) -> Load:
        service = self._services[name]
        before = service.samples()
        load = run(Target(service.port), Window(WARM_SECONDS, SECONDS, lambda: 0.0))
        if any(answer.status != OK for answer in load.finished()):
            raise SystemExit("not every ticket was decided")
        after = service.samples()
        counts = self.offered.setdefault(kind, dict.fromkeys(RESULTS, 0.0))
        for result in RESULTS:
            series = f'ticket_router_shadow_tickets_total{{result="{result}"}}'
            counts[result] += after[series] - before[series]
        return load

    def _add(self, name: str, figure: str, value: float) -> None:
        self.figures.setdefault((figure, name), []).append(value)

    def change(self, figure: str) -> float:
        """Median over the rounds of the share by which the shadow changes the figure."""
        pairs = zip(self.figures[figure, "with"], self.figures[figure, "without"], strict=True)
        return median(one / other - 1 for one, other in pairs)


def measured(bundle: Path, rounds: int, callers: int, flags: list[str]) -> Turns:
    texts = workload(short_texts(), open_bundle(bundle), TEXTS).texts
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shelf = two_bundles(bundle, folder / "store")
        uncached = ["--cache-entries", "0", "--records-repeat-seconds", "0", *flags]
        services = {
            name: stack.enter_context(serving(shelf.current, "--state-dir", str(folder / name), *uncached))
            for name in ("with", "without")
        }
        put_and_wait(services["with"], "shadow", shelf.other)
        turns = Turns(services, [post("/v1/route", {"body": text}) for text in texts])
        for seed in range(rounds):
            for name in random.Random(seed).sample(list(services), 2):
                turns.closed(name, callers)
        rate = median(turns.figures["tickets/s", "without"]) / 3
        print(f"open loops: {rate:.0f} tickets/s")
        for seed in range(rounds):
            for name in random.Random(seed).sample(list(services), 2):
                turns.open(name, rate, seed)
    return turns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--runners", type=int)
    arguments = parser.parse_args()
    flags = [] if arguments.runners is None else ["--runners", str(arguments.runners), "--intra-op-threads", "1"]
    turns = measured(arguments.bundle, arguments.rounds, arguments.callers, flags)
    print(f"{'':<16} without     with   change (median of the rounds' own)")
    for figure in dict.fromkeys(figure for figure, _ in turns.figures):
        without, shadowed = (median(turns.figures[figure, name]) for name in ("without", "with"))
        print(f"{figure:<16} {without:7.1f} {shadowed:8.1f} {turns.change(figure):+8.1%}")
    for kind, counts in turns.offered.items():
        print(f"shadow, {kind} loops: " + ", ".join(f"{int(count)} {result}" for result, count in counts.items()))


if __name__ == "__main__":
    main()
