"""The cost of traces: CPU of the service per ticket without them, with one request in a hundred recorded, and with all.

    python -m tests.benchmarks.traces --bundle BUNDLE [--rounds 9] [--rate 200]

As in `overhead.py` a constant replaces the model. Three service processes run side by side and take turns, in a new
order each round, at a rate of short tickets low enough that no span is dropped; a collector in this process receives
them, ten times a second. Printed: the median, the least and the most of all rounds.
"""

import argparse
import contextlib
import os
import random
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from unittest.mock import patch

from models.bundle.bundle import Bundle, open_bundle
from tests.benchmarks.overhead import SHORT_TEXTS, UNCACHED, null_bundle
from tests.benchmarks.serving.load import OK, Window, open_loop
from tests.benchmarks.serving.servers import Running, ours, running
from tests.benchmarks.serving.tickets import short_texts, workload
from tests.support.collector import Collector, collecting

RECORDED: Mapping[str, float | None] = {"off": None, "1 %": 0.01, "100 %": 1.0}
"""By name, the share of requests that are recorded; None: without traces."""
WARM_SECONDS = 1.0
SECONDS = 5.0


def environment(share: float | None, collector: Collector) -> dict[str, str]:
    """The environment of a service that records this share and sends it to the collector."""
    if share is None:
        return {}
    return collector.env(OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG=str(share))


def turn(service: Running, requests: list[bytes], rate: float, seed: int) -> float:
    """Milliseconds of CPU per ticket.

    Raises:
        SystemExit: a ticket was not decided.
    """
    window = Window(WARM_SECONDS, SECONDS, service.family.cpu_seconds)
    load = open_loop(service.target, requests, rate, window, seed)
    finished = load.finished()
    if any(answer.status != OK for answer in finished):
        raise SystemExit("not every ticket was decided; lower --rate")
    return 1000 * load.server_cpu / len(finished)


def measured(bundle: Bundle, rounds: int, rate: float) -> Mapping[str, list[float]]:
    """By the names of `RECORDED`, each round's milliseconds of CPU per ticket."""
    server = ours("service", *UNCACHED)
    requests = server.requests(workload(short_texts(), bundle, SHORT_TEXTS).texts)
    spent: dict[str, list[float]] = {name: [] for name in RECORDED}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        null, collector = null_bundle(bundle, folder), stack.enter_context(collecting())
        services = {}
        for name, share in RECORDED.items():
            with patch.dict(os.environ, environment(share, collector)):
                started = running(server, null, Path(sys.executable), folder / f"{len(services)}.log")
                services[name] = stack.enter_context(started)
        for seed in range(rounds):
            for name in random.Random(seed).sample(list(services), len(services)):
                spent[name].append(turn(services[name], requests, rate, seed))
                collector.spans.clear()
                collector.raw.clear()
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rate", type=float, default=200, help="tickets per second")
    arguments = parser.parse_args()
    spent = measured(open_bundle(arguments.bundle), arguments.rounds, arguments.rate)
    print(f"{arguments.rounds} rounds at {arguments.rate:g} tickets/s; milliseconds of CPU per ticket")
    print("recorded  median   least    most  more than off, median of the rounds")
    for name, each in spent.items():
        more = median(one - off for one, off in zip(each, spent["off"], strict=True))
        print(f"{name:8s} {median(each):7.3f} {min(each):7.3f} {max(each):7.3f} {more:14.3f}")


if __name__ == "__main__":
    main()
