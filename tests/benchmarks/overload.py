"""Ten times the service's capacity for a minute: the remaining goodput, the speed of refusals, and the recovery.

    python -m tests.benchmarks.overload BUNDLE [--times 10] [--seconds 60] [--length long|short] [-- FLAG…]

Peak (64 callers that wait for their answers), flood (an open loop at `--times` the peak), recovery, peak again, all
against one service with its cache off; goodput is compared with the mean of both peaks. Probes and metrics are
requested once a second meanwhile. Then the flood again with one key, beside another key that sends a fifth of the peak.
Client and server share the machine, and at such a rate the client takes much of it. Hence the goodput is printed twice:
as measured, and per core that each client left to the service, which only explains. The exit status is 1 if a target is
missed; the target applies to the goodput as measured.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvloop

from models.bundle.bundle import open_bundle
from tests.benchmarks.probing import Probing
from tests.benchmarks.serving.connection import NO_ANSWER, Connection, Target, post
from tests.benchmarks.serving.load import OK, Answer, Load, Window, closed_loop, open_loop
from tests.benchmarks.serving.processes import Family
from tests.benchmarks.serving.tickets import long_texts, short_texts, workload
from tests.benchmarks.start import ready
from tests.support.keys import Known, file_of
from tests.support.process import Service

CALLERS = 64
TEXTS = 2048
WARM_SECONDS = 3.0
PROBES = ("/livez", "/readyz", "/metrics")
PROBE_SECONDS = 1.0
USUAL_ROUNDS = 20
NORMAL = 2.0
"""Factor on the usual latency of a lone ticket; below it the service has recovered."""
NORMAL_ROUNDS = 5
POLITE_SHARE = 0.2
NOISY, POLITE = Known("noisy"), Known("polite")


GOODPUT, REFUSAL_SECONDS, RECOVERY_SECONDS, SLOWEST_PROBE_SECONDS = 0.95, 0.05, 5.0, 1.0
"""The targets: at least, at most (the 99th percentile), at most, at most."""
TAKEN_OR_REFUSED = frozenset({OK, httpx.codes.TOO_MANY_REQUESTS})
"""Statuses allowed in a flood. Any other request was lost, or waited in vain."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Tickets answered per second, and the cores that the client used meanwhile."""

    tickets: float
    client_cores: float

    @property
    def for_each_core(self) -> float:
        """Per core that was left to the service."""
        return self.tickets / (multiprocessing.cpu_count() - self.client_cores)


@dataclass(frozen=True, slots=True)
class Flood:
    """Results of a flood. Seconds; latencies count from the time a request was due."""

    offered: float
    goodput: Rate
    codes: Counter[int]
    refusals: Sequence[float]
    probes: Sequence[float]
    recovery: float


def peak(service: Service, requests: Sequence[bytes], seconds: float) -> Rate:
    """Every caller waits for its answer before the next request."""
    return good(closed_loop(Target(service.port), requests, CALLERS, _window(service, seconds)))


def flood(service: Service, requests: Sequence[bytes], rate: float, seconds: float, usual: float) -> Flood:
    with Probing(service, PROBES, PROBE_SECONDS) as probing:
        load = open_loop(Target(service.port), requests, rate, _window(service, seconds))
    normal = asyncio.run(_until_normal(service, requests, usual))
    due = load.due()
    return Flood(
        offered=len(due) / load.seconds,
        goodput=good(load),
        codes=Counter(answer.status for answer in due),
        refusals=[_latency(answer) for answer in due if answer.status == httpx.codes.TOO_MANY_REQUESTS],
        probes=probing.seconds,
        recovery=normal - load.end,
    )


def good(load: Load) -> Rate:
    answered = sum(answer.status == OK for answer in load.finished())
    return Rate(answered / load.seconds, load.client_cpu / load.seconds)


def usual_seconds(service: Service, requests: Sequence[bytes]) -> float:
    """A lone ticket's median latency."""
    return asyncio.run(_lone(service, requests, USUAL_ROUNDS))


def beside_a_noisy_key(
    service: Service, texts: Sequence[str], rate: float, polite_rate: float, seconds: float
) -> tuple[Load, Load]:
    """The polite key's results alone, and beside the noisy key's flood."""
    polite = _requests(texts, POLITE)
    alone = open_loop(Target(service.port), polite, polite_rate, _window(service, seconds))
    noisy = multiprocessing.get_context("spawn").Process(
        target=_flood_for, args=(service.port, _requests(texts, NOISY), rate, seconds + 2 * WARM_SECONDS), daemon=True
    )
    noisy.start()
    time.sleep(WARM_SECONDS)
    beside = open_loop(Target(service.port), polite, polite_rate, _window(service, seconds))
    noisy.join()
    return alone, beside


def _flood_for(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> None:
    open_loop(Target(port), requests, rate, Window(0, seconds, lambda: 0.0), seed=1)


def _requests(texts: Sequence[str], known: Known | None = None) -> list[bytes]:
    headers = [known.header_line] if known else []
    return [post("/v1/route", {"body": text}, *headers) for text in texts]


def _window(service: Service, seconds: float) -> Window:
    return Window(WARM_SECONDS, seconds, Family(service.process.pid).cpu_seconds)


def _latency(answer: Answer) -> float:
    return answer.finished - answer.due


async def _lone(service: Service, requests: Sequence[bytes], rounds: int) -> float:
    connection, seconds = Connection(Target(service.port)), []
    for request in requests[:rounds]:
        began = time.perf_counter()
        status = await connection.ask(request)
        seconds.append(time.perf_counter() - began if status == OK else float("inf"))
    connection.close()
    return statistics.median(seconds)


async def _until_normal(service: Service, requests: Sequence[bytes], usual: float) -> float:
    """The time from which lone tickets take their usual time again."""
    while True:
        now = time.perf_counter()
        if await _lone(service, requests, NORMAL_ROUNDS) <= NORMAL * usual:
            return now
        await asyncio.sleep(0.05)


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else float("nan")


@dataclass(frozen=True, slots=True)
class Found:
    """A flood between two peaks. `usual`: seconds that a lone ticket takes."""

    flood: Flood
    peaks: tuple[Rate, Rate]
    usual: float

    @property
    def goodput(self) -> float:
        return self.flood.goodput.tickets / statistics.mean(peak.tickets for peak in self.peaks)

    @property
    def goodput_for_each_core(self) -> float:
        return self.flood.goodput.for_each_core / statistics.mean(peak.for_each_core for peak in self.peaks)

    @property
    def targets_met(self) -> bool:
        flood = self.flood
        soon = percentile(flood.refusals, 99) <= REFUSAL_SECONDS and flood.recovery <= RECOVERY_SECONDS
        answered = flood.codes.keys() <= TAKEN_OR_REFUSED and max(flood.probes) <= SLOWEST_PROBE_SECONDS
        return self.goodput >= GOODPUT and soon and answered


def rows(found: Found, times: float) -> Iterator[str]:
    flood, (first, second) = found.flood, found.peaks
    codes = ", ".join(f"{count} × {code or 'none'}" for code, count in sorted(flood.codes.items()))
    lone = f"a lone one {1000 * found.usual:.0f} ms"
    yield f"peak                 {first.tickets:.1f} and {second.tickets:.1f} tickets/s; {lone}"
    yield f"offered              {flood.offered:.0f}/s, {times:g} × the peak: {codes}"
    yield f"client               {flood.goodput.client_cores:.2f} cores, at the peak {first.client_cores:.2f}"
    yield f"goodput ÷ peak       {found.goodput:.3f} ({flood.goodput.tickets:.1f} tickets/s)"
    yield f"for each core left   {found.goodput_for_each_core:.3f}"
    refused = [1000 * percentile(flood.refusals, percent) for percent in (50, 99)]
    yield f"refusals             median {refused[0]:.1f} ms, p99 {refused[1]:.1f} ms"
    yield f"probes, metrics      slowest of {len(flood.probes)}: {1000 * max(flood.probes):.0f} ms"
    yield f"as before after      {flood.recovery:.2f} s"


def polite_row(name: str, load: Load) -> str:
    due = load.due()
    seconds = [_latency(answer) for answer in due if answer.status == OK]
    median, worst = (1000 * percentile(seconds, percent) for percent in (50, 99))
    return f"polite key, {name:<9}{len(seconds)} of {len(due)} answered, median {median:.0f} ms, p99 {worst:.0f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--length", choices=("long", "short"), default="long")
    parser.add_argument("flags", nargs="*", help="flags for the service, after --")
    given = parser.parse_intermixed_args()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    texts = long_texts() if given.length == "long" else short_texts()
    tickets = workload(texts, open_bundle(given.bundle), TEXTS)
    print(f"{given.length}: {tickets.describe()}", flush=True)
    flags = ["--cache-entries", "0", *given.flags]
    with ready(given.bundle, *flags) as service:
        requests = _requests(tickets.texts)
        usual = usual_seconds(service, requests)
        before = peak(service, requests, given.seconds / 3)
        flooded = flood(service, requests, given.times * before.tickets, given.seconds, usual)
        found = Found(flooded, (before, peak(service, requests, given.seconds / 3)), usual)
    print("\n".join(rows(found, given.times)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder, "keys.toml")
        keys.write_text(file_of(NOISY, POLITE))
        with ready(given.bundle, *flags, "--keys-file", str(keys)) as service:
            rates = given.times * before.tickets, POLITE_SHARE * before.tickets
            alone, beside = beside_a_noisy_key(service, tickets.texts, *rates, given.seconds / 2)
    print(polite_row("alone", alone), polite_row("beside", beside), sep="\n", flush=True)
    lost = sum(answer.status == NO_ANSWER for answer in beside.due())
    print(f"{'of which no answer':<21}{lost}")
    polite_held = all(answer.status == OK for answer in beside.due())
    return not (found.targets_met and polite_held)


if __name__ == "__main__":
    sys.exit(main())
