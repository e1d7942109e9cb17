"""The effect of reloads on concurrent requests.

    python -m tests.benchmarks.reload --bundle BUNDLE [--other BUNDLE] [--reloads 100] [--load 0.8] [-- FLAG…]

Capacity is measured first; then requests come at random times at that share of it, for a while without any reload, then
during reloads back and forth between two bundles (without --other: a copy whose temperature differs in the sixth
digit). Beside the load a client sends batches; each answer must name one version, one of the two. Printed: errors,
latencies of requests that overlapped no reload and of those that overlapped one, seconds per reload, and the process's
memory before and after.
"""

import argparse
import http.client
import itertools
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from models.bundle.bundle import Bundle, open_bundle, write_bundle
from tests.benchmarks.memory import resident_megabytes
from tests.benchmarks.serving.connection import Target, post
from tests.benchmarks.serving.load import OK, Answer, Load, Window, closed_loop, open_loop
from tests.benchmarks.serving.processes import Family
from tests.benchmarks.serving.tickets import long_texts, short_texts, texts_of, workload
from tests.benchmarks.start import ready
from tests.support.process import Service

CALLERS = 64
CAPACITY_SECONDS = 8.0
WARM_SECONDS = 2.0
CHUNK_SECONDS = 20.0
TEXTS = 2048
PAUSE_SECONDS = 0.5
"""Seconds between two reloads, so that requests of both kinds occur."""
WITNESS_TICKETS = 8
WITNESS_PAUSE_SECONDS = 0.25
SETTLE_SECONDS = 2.0

Interval = tuple[float, float]


def other_version(bundle: Bundle, store: Path) -> Path:
    """A copy in `store` with the same verdicts and another version id."""
    draft = bundle.manifest.model_dump(mode="json", exclude={"version", "files"})
    for entry in (one for model in draft["models"] for one in model["fields"]):
        entry["temperature"] *= 1 + 1e-6
    return write_bundle(store, draft, {name: bundle.path / name for name in bundle.manifest.files})


def call(port: int, path: str, content: Any) -> tuple[int, Any]:
    """Status and document of one POST on its own connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


@dataclass
class Reloads:
    """Reloads in a thread, until `count` are done. `intervals` are in seconds of `time.perf_counter`."""

    service: Service
    versions: Sequence[str]
    count: int
    intervals: list[Interval] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            for version in itertools.islice(itertools.cycle(self.versions), self.count):
                began = time.perf_counter()
                status, document = call(self.service.management_port, "/admin/reload", {"bundle": version})
                self.intervals.append((began, time.perf_counter()))
                if status != OK:
                    self.refused.append(document["detail"])
                time.sleep(PAUSE_SECONDS)
        finally:
            self.done.set()


@dataclass
class VersionCheck:
    """Sends batches in a thread, and checks the versions that their answers name."""

    service: Service
    versions: Sequence[str]
    stop: threading.Event = field(default_factory=threading.Event)
    answers: int = 0
    faults: list[str] = field(default_factory=list)

    def run(self) -> None:
        # texts of its own, each once, since a cached answer would not wait during a swap
        numbers = itertools.count()
        while not self.stop.wait(WITNESS_PAUSE_SECONDS):
            tickets = [{"body": f"ticket {next(numbers)} has several words"} for _ in range(WITNESS_TICKETS)]
            status, document = call(self.service.port, "/v1/route/batch", {"tickets": tickets})
            self.answers += 1
            if fault := self._fault(status, document):
                self.faults.append(fault)

    def _fault(self, status: int, document: Any) -> str | None:
        if status != OK:
            return f"status {status}"
        decisions = [result.get("decision") for result in document["results"]]
        if None in decisions:
            return "a ticket without a decision"
        named = {decision["model"]["version"] for decision in decisions}
        return None if len(named) == 1 and named <= set(self.versions) else f"versions {sorted(named)}"


@dataclass(frozen=True, slots=True)
class Found:
    """Memory in MB: before the first reload, after the last, and the peak."""

    capacity: float
    rate: float
    quiet: Sequence[Answer]
    loaded: Sequence[Answer]
    reloads: Reloads
    witness: VersionCheck
    before: float
    after: float
    peak: float


def measure(service: Service, requests: Sequence[bytes], share: float, versions: Sequence[str], count: int) -> Found:
    family, target = Family(service.process.pid), Target(service.port)
    full = closed_loop(target, requests, CALLERS, Window(WARM_SECONDS, CAPACITY_SECONDS, family.cpu_seconds))
    capacity = sum(answer.status == OK for answer in full.finished()) / full.seconds
    rate = share * capacity

    def chunk(seed: int) -> Load:
        return open_loop(target, requests, rate, Window(WARM_SECONDS, CHUNK_SECONDS, family.cpu_seconds), seed)

    reloads, witness = Reloads(service, versions, count), VersionCheck(service, versions)
    threads = [threading.Thread(target=each.run, daemon=True) for each in (witness, reloads)]
    threads[0].start()
    quiet = [answer for seed in (0, 1) for answer in chunk(seed).due()]
    before = resident_megabytes(service.process.pid)
    threads[1].start()
    loaded: list[Answer] = []
    for seed in itertools.count(2):
        loaded += chunk(seed).due()
        if reloads.done.is_set():
            break
    witness.stop.set()
    for thread in threads:
        thread.join()
    time.sleep(SETTLE_SECONDS)
    after = resident_megabytes(service.process.pid)
    return Found(capacity, rate, quiet, loaded, reloads, witness, before, after, family.peak_megabytes())


def split_by_overlap(answers: Sequence[Answer], intervals: Sequence[Interval]) -> tuple[list[Answer], list[Answer]]:
    """Answers whose requests overlapped one of the intervals (ascending, disjoint), and the others."""
    begins, ends = np.array(intervals).T
    during: list[Answer] = []
    apart: list[Answer] = []
    for answer in answers:
        # the first reload that ended after the request was due is the first that can overlap it
        first = int(np.searchsorted(ends, answer.due))
        overlaps = first < len(begins) and begins[first] < answer.finished
        (during if overlaps else apart).append(answer)
    return during, apart


def latency(name: str, answers: Sequence[Answer]) -> str:
    good = [1000 * (answer.finished - answer.due) for answer in answers if answer.status == OK]
    wrong = len(answers) - len(good)
    low, high = np.percentile(good, (50, 99)) if good else (np.nan, np.nan)
    return f"{name:24s}  {len(answers):8d}  {wrong:6d}  {low:8.1f}  {high:8.1f}"


def rows(found: Found) -> Iterator[str]:
    during, between = split_by_overlap(found.loaded, found.reloads.intervals)
    seconds = [end - begin for begin, end in found.reloads.intervals]
    yield f"capacity {found.capacity:.0f} tickets/s, offered {found.rate:.0f}; latency in milliseconds"
    yield "                          requests  errors    median       p99"
    yield latency("before any reload", found.quiet)
    yield latency("between reloads", between)
    yield latency("during a reload", during)
    yield (
        f"{len(seconds)} reloads, {len(found.reloads.refused)} refused; "
        f"{median(seconds):.2f} s each, {max(seconds):.2f} s at most"
    )
    yield f"{found.witness.answers} batches looked at, {len(found.witness.faults)} with a fault"
    yield f"memory {found.before:.0f} MB before, {found.after:.0f} MB after, {found.peak:.0f} MB at most"
    yield from (f"  {fault}" for fault in (*found.reloads.refused, *found.witness.faults)[:5])


def drawn(bundle: Bundle, data: Path | None, *, long: bool) -> list[bytes]:
    source = texts_of(data) if data else long_texts() if long else short_texts()
    tickets = workload(source, bundle, TEXTS)
    print(tickets.describe(), flush=True)
    return [post("/v1/route", {"subject": "", "body": text}) for text in tickets.texts]


def store_of_two(bundle: Bundle, other: Path | None, store: Path) -> list[str]:
    """Both bundles in `store`, the first one current. Returns the other's version, then the first's."""
    second = open_bundle(other) if other else open_bundle(other_version(bundle, store))
    for each in (bundle, second):
        if not (store / each.version).exists():
            shutil.copytree(each.path, store / each.version)
    if second.version == bundle.version:
        sys.exit("--other is the same bundle; give another one, or none")
    return [second.version, bundle.version]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--load", type=float, default=0.8, help="share of the capacity that is offered")
    parser.add_argument("--data", type=Path, help="tickets as training reads them; without it, made-up ones")
    parser.add_argument("--long", action="store_true", help="make up long tickets, not short ones")
    parser.add_argument("flags", nargs="*", help="flags for the service, after --; the cache is off unless they say so")
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    requests = drawn(bundle, arguments.data, long=arguments.long)
    with tempfile.TemporaryDirectory() as folder:
        versions = store_of_two(bundle, arguments.other, Path(folder))
        flags = ("--cache-entries", "0", *arguments.flags)
        with ready(Path(folder) / bundle.version, *flags) as service:
            print("\n".join(rows(measure(service, requests, arguments.load, versions, arguments.reloads))))


if __name__ == "__main__":
    main()
