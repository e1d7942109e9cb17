"""Memory over many tickets of very different lengths, sampled every few seconds.

    python -m tests.benchmarks.soak --bundle BUNDLE [--tickets 200000] [-- FLAG…]

Made-up tickets of 1 to 2,000 words, with lengths evenly distributed on a logarithmic scale; some occur twice, and there
are more different ones than the cache holds. Once with the cache off and once with it on. Printed: the slope of the
resident memory in the second half (least squares, with its 95 % interval), the peak, and its limit: three times the
model's size and 250 MB. Also the idle service's share of a core, before and after.
"""

import argparse
import itertools
import json
import math
import random
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundle.bundle import Bundle, open_bundle
from models.processor import instructions
from tests.benchmarks.memory import Slope, Watch, slope
from tests.benchmarks.serving.connection import Target, post
from tests.benchmarks.serving.load import OK, Window, closed_loop
from tests.benchmarks.serving.processes import Family
from tests.benchmarks.start import ready
from tests.support.process import Service
from training.sample.tickets import make_tickets

CALLERS = 16
LONGEST_WORDS = 2000
TEXTS = 16_000
REPEATED = 0.3
REPEATED_WITHIN = 200
CHUNK_SECONDS = 20.0
SAMPLE_SECONDS = 2.0
IDLE_SECONDS = 10.0
MODEL_SIZES = 3
FIXED_MEGABYTES = 250
WORDS_FROM = 3000


@dataclass(frozen=True, slots=True)
class Soak:
    """Memory in MB, idle load as shares of one core."""

    tickets: int
    errors: int
    seconds: float
    growth: Slope
    peak: float
    idle_before: float
    idle_after: float


def texts(count: int, seed: int = 0) -> list[str]:
    """Texts of 1 to LONGEST_WORDS words (log-uniform); some occur twice, the second time soon after the first."""
    rng = random.Random(seed)
    words = itertools.cycle(" ".join(ticket.body for ticket in make_tickets(WORDS_FROM, seed)).split())
    placed: list[tuple[float, str]] = []
    for number in range(count):
        length = round(math.exp(rng.uniform(0, math.log(LONGEST_WORDS))))
        text = " ".join(itertools.islice(words, length))
        placed.append((number, text))
        if rng.random() < REPEATED:
            placed.append((number + rng.uniform(0, REPEATED_WITHIN), text))
    return [text for _, text in sorted(placed)]


def soak(bundle: Path, requests: Sequence[bytes], tickets: int, flags: Sequence[str]) -> Soak:
    with ready(bundle, *flags) as service:
        family = Family(service.process.pid)
        time.sleep(1)
        before = idle_share(family)
        began = time.perf_counter()
        with Watch(service.process.pid, SAMPLE_SECONDS) as watch:
            done, errors = _load(service, family, requests, tickets)
        seconds = time.perf_counter() - began
        time.sleep(1)
        growth = slope(watch.second_half())
        return Soak(done, errors, seconds, growth, family.peak_megabytes(), before, idle_share(family))


def idle_share(family: Family) -> float:
    used = family.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    return (family.cpu_seconds() - used) / IDLE_SECONDS


def _load(service: Service, family: Family, requests: Sequence[bytes], tickets: int) -> tuple[int, int]:
    """Send until `tickets` are answered: the numbers of answers and of wrong ones."""
    done = errors = 0
    while done < tickets:
        window = Window(0, CHUNK_SECONDS, family.cpu_seconds)
        load = closed_loop(Target(service.port), _from(requests, done), CALLERS, window)
        finished = load.finished()
        errors += sum(answer.status != OK for answer in finished)
        done += len(finished)
    return done, errors


def _from(requests: Sequence[bytes], place: int) -> list[bytes]:
    """The same requests, starting where the last chunk ended."""
    place %= len(requests)
    return [*requests[place:], *requests[:place]]


def allowed_megabytes(bundle: Bundle, variant: str) -> float:
    return (
        MODEL_SIZES * bundle.manifest.files[bundle.graph(variant, instructions()).entry.file].size / 1e6
        + FIXED_MEGABYTES
    )


def served_variant(bundle: Path, flags: Sequence[str]) -> str:
    with ready(bundle, *flags) as service, urllib.request.urlopen(service.url + "/v1/model", timeout=10) as answer:
        return str(json.load(answer)["variant"])


def rows(found: Soak, name: str, allowed: float) -> Iterator[str]:
    rate = found.tickets / found.seconds
    yield f"{name}: {found.tickets} tickets, {found.errors} errors, {found.seconds:.0f} s, {rate:.0f} tickets/s"
    yield f"  memory, second half   {found.growth.middle:+.2f} ± {found.growth.margin:.2f} MB/h"
    yield f"  peak                  {found.peak:.0f} MB of {allowed:.0f} allowed"
    yield f"  idle                  {found.idle_before:.2%} of a core before, {found.idle_after:.2%} after"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--tickets", type=int, default=200_000, help="for each of the two runs")
    parser.add_argument("--cache", choices=("off", "on", "both"), default="both")
    parser.add_argument("flags", nargs="*", help="flags for the service, after --")
    arguments = parser.parse_args()
    requests = [post("/v1/route", {"subject": "", "body": text}) for text in texts(TEXTS)]
    variant = served_variant(arguments.bundle, arguments.flags)
    allowed = allowed_megabytes(open_bundle(arguments.bundle), variant)
    print(f"variant {variant}, {CALLERS} callers, {len(requests)} requests round and round", flush=True)
    for name, entries in (("off", ["--cache-entries", "0"]), ("on", [])):
        if arguments.cache in (name, "both"):
            found = soak(arguments.bundle, requests, arguments.tickets, [*arguments.flags, *entries])
            print("\n".join(rows(found, f"cache {name}", allowed)), flush=True)


if __name__ == "__main__":
    main()
