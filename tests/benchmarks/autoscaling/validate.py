"""How well a simulated pod agrees with the real service: the same tickets, the same moments, at several loads.

    python -m tests.benchmarks.autoscaling.validate
    python -m tests.benchmarks.autoscaling.validate --bundle BUNDLE --data long=FILE --data short=FILE

Without a bundle: beside what docs/results.md has of long tickets at random moments. With one, beside the service
here: the speed comes from two closed loops, one of each kind of ticket; then long tickets come at random moments at
shares of their throughput, to the service and to the simulated pod. `slower`: what a runner then needed for a ticket,
by the service's own counters, over what the closed loops say; the simulated pod is made as slow. So the wait is
compared and not the speed, which changes on a machine that others use, and with whether a lone ticket gets all cores.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.bundle.bundle import open_bundle
from tests.benchmarks.autoscaling.pods import SPEEDS, Pod, Refusal, Speed
from tests.benchmarks.autoscaling.traffic import drawn
from tests.benchmarks.serving.connection import Target, post
from tests.benchmarks.serving.load import OK, Window, arrivals, closed_loop, open_loop
from tests.benchmarks.serving.processes import Family
from tests.benchmarks.serving.tickets import Tickets, texts_of, workload
from tests.benchmarks.start import ready
from tests.support.process import Service

CALLERS, RUNNERS, TEXTS = 64, 2, 512
WARM_SECONDS, CLOSED_SECONDS = 2.0, 8.0
SHARES = (0.3, 0.5, 0.7, 0.8, 0.9, 1.2)
TOO_MANY_REQUESTS = 429
PUBLISHED = (
    ("int8", 37.3, 19.7, 46.0),
    ("int8", 64.6, 24.0, 75.6),
    ("fp32", 37.3, 29.4, 85.6),
    ("fp32", 67.6, 105, 368),
)
"""docs/results.md, open loop, long: speed, tickets per second, median and 99th percentile in milliseconds."""
PUBLISHED_SECONDS = 300.0
ANSWERS = r'^ticket_router_answers_total\{source="model"\}'
BUSY = r'^ticket_router_stage_duration_seconds_sum\{stage="infer"\}'


@dataclass(frozen=True, slots=True)
class Row:
    """Median and 99th percentile in milliseconds of what was answered; shares of 0…1."""

    median: float
    p99: float
    refused: float
    busy: float

    @classmethod
    def of(cls, seconds: Sequence[float], asked: int, busy: float) -> "Row":
        median, p99 = np.percentile(seconds, (50, 99)) * 1000
        return cls(median, p99, 1 - len(seconds) / asked, busy)

    def __str__(self) -> str:
        return f"{self.median:8.1f} {self.p99:8.1f} {self.refused:8.1%} {self.busy:6.2f}"


def throughput(service: Service, requests: Sequence[bytes]) -> float:
    """Tickets per second with many callers."""
    window = Window(WARM_SECONDS, CLOSED_SECONDS, Family(service.process.pid).cpu_seconds)
    load = closed_loop(Target(service.port), requests, CALLERS, window)
    return sum(answer.status == OK for answer in load.finished()) / load.seconds


@dataclass(frozen=True, slots=True)
class Real:
    """What the service did under one load; `ticket_seconds`: what a runner needed for a ticket on average."""

    row: Row
    ticket_seconds: float


def real(service: Service, requests: Sequence[bytes], rate: float, seconds: float, seed: int) -> Real:
    window = Window(WARM_SECONDS, seconds, Family(service.process.pid).cpu_seconds)
    began, before = time.perf_counter(), (service.counts(BUSY), service.counts(ANSWERS))
    load = open_loop(Target(service.port), requests, rate, window, seed)
    busy, answers = service.counts(BUSY) - before[0], service.counts(ANSWERS) - before[1]
    due = [answer for answer in load.due() if answer.status in (OK, TOO_MANY_REQUESTS)]
    took = [answer.finished - answer.due for answer in due if answer.status == OK]
    return Real(Row.of(took, len(due), busy / RUNNERS / (time.perf_counter() - began)), busy / answers)


def simulated(speed: Speed, tokens: Sequence[int], rate: float, seconds: float, seed: int) -> Row:
    pod, taken, asked = Pod(speed, tokens=float(np.mean(tokens))), [], 0
    for number, moment in enumerate(arrivals(rate, WARM_SECONDS + seconds, random.Random(seed))):
        answer = pod.ask(moment, tokens[number % len(tokens)])
        if moment >= WARM_SECONDS:
            asked += 1
            if not isinstance(answer, Refusal):
                taken.append(answer - moment)
    length = max(WARM_SECONDS + seconds, pod.idle_from())
    return Row.of(taken, asked, pod.busy_seconds(length) / length / speed.runners)


def published() -> Iterator[str]:
    tokens = drawn(np.full(int(PUBLISHED_SECONDS), 20.0), seed=0).tokens.tolist()
    yield "speed   offered   real: p50      p99   simulated: p50      p99  refused   busy"
    for name, rate, median, p99 in PUBLISHED:
        pod = simulated(SPEEDS[name], tokens, rate, PUBLISHED_SECONDS, seed=0)
        yield f"{name:6s} {rate:8.1f}    {median:8.1f} {p99:8.1f}       {pod}"


def rows(service: Service, texts: dict[str, Tickets], seconds: float) -> Iterator[str]:
    requests = {
        kind: [post("/v1/route", {"subject": "", "body": text}) for text in tickets.texts]
        for kind, tickets in texts.items()
    }
    points = {kind: (float(np.mean(texts[kind].tokens)), throughput(service, requests[kind])) for kind in texts}
    speed = Speed.measured(RUNNERS, points["short"], points["long"])
    yield "  ".join(f"{kind}: {rate:.0f}/s at {tokens:.0f} tokens" for kind, (tokens, rate) in points.items())
    yield f"a runner takes {1000 * speed.ticket_seconds:.2f} ms a ticket, {1000 * speed.token_seconds:.3f} ms a token"
    yield "share  offered  slower   real: p50      p99  refused   busy   simulated: p50      p99  refused   busy"
    for seed, share in enumerate(SHARES):
        rate = share * points["long"][1]
        found = real(service, requests["long"], rate, seconds, seed)
        slower = found.ticket_seconds / speed.seconds(points["long"][0])
        pod = simulated(speed.slower(slower), texts["long"].tokens, rate, seconds, seed)
        yield f"{share:5.2f} {rate:8.1f} {slower:7.2f}    {found.row}       {pod}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--data", action="append", default=[], help="short=FILE and long=FILE, as training reads them")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("flags", nargs="*", help="flags for the service, after --")
    arguments = parser.parse_args()
    for line in compared(arguments) if arguments.bundle else published():
        print(line, flush=True)


def compared(arguments: argparse.Namespace) -> Iterator[str]:
    bundle = open_bundle(arguments.bundle)
    files = dict(each.split("=", 1) for each in arguments.data)
    texts = {kind: workload(texts_of(Path(files[kind])), bundle, TEXTS) for kind in ("short", "long")}
    with ready(bundle.path, "--cache-entries", "0", *arguments.flags) as service:
        yield from rows(service, texts, arguments.seconds)


if __name__ == "__main__":
    main()
