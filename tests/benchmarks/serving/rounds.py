"""The rounds: in each, every workload, and for each workload every server in turn, the bare loop among them.

Only one server runs at a time, started anew: stopping idle ones (SIGSTOP) would save the starts, but frameworks that
monitor their own processes take a long stop for a crash. The order is rotated by one from round to round, so that no
server is always first or last.
"""

import json
import statistics
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.bundle.bundle import Bundle
from models.processor import instructions
from tests.benchmarks.serving.ceiling import Job, measure_apart
from tests.benchmarks.serving.load import OK, Load, Window, closed_loop, open_loop
from tests.benchmarks.serving.records import Ceiling, Closed, Open, Results, Single
from tests.benchmarks.serving.servers import NotStarted, Running, Server, running
from tests.benchmarks.serving.tickets import Tickets, cut_to_tokens

T = TypeVar("T")

OURS = "ticket router, fp32"
OURS_SHIPPED = "ticket router, shipped variant"
OURS_STUDENT = "ticket router, student"
_CEILING_PART = 1 / 3
"""A setting of the bare loop gets this share of a window: there are ten settings."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A server that takes part, its bundle and its interpreter."""

    server: Server
    bundle: Path
    python: Path


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload: its tickets, its bundle, its servers, and the variants with a ceiling."""

    name: str
    tickets: Tickets
    bundle: Bundle
    entrants: tuple[Entrant, ...]
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan: times in seconds, `shares` of our own capacity for the open loops."""

    workloads: tuple[Workload, ...]
    rounds: int
    seconds: float
    warm: float
    callers: tuple[int, ...]
    shares: tuple[float, ...]
    cores: int
    folder: Path


class Rounds:
    """Measures a plan into results, and saves them after every server."""

    def __init__(self, plan: Plan, results: Results, save: Path) -> None:
        self._plan = plan
        self._results = results
        self._save = save
        self._round = 0

    def run(self) -> None:
        """A server that fails is recorded, and left out from then on."""
        for number in range(self._plan.rounds):
            self._round = number
            for workload in self._plan.workloads:
                for part in turned([*workload.entrants, *workload.variants], self._round):
                    if isinstance(part, str):
                        self._ceiling(workload, part)
                    elif part.server.name not in self._results.failed:
                        self._entrant(workload, part)
                    self._results.save(self._save)

    def _entrant(self, workload: Workload, entrant: Entrant) -> None:
        server, texts = entrant.server, workload.tickets.texts
        self._say(workload, server.name)
        requests = server.requests(cut_to_tokens(texts, workload.bundle) if server.cut_to_tokens else texts)
        log = self._plan.folder / f"{server.name.replace(' ', '-')}.log"
        try:
            with running(server, entrant.bundle, entrant.python, log) as started:
                if server.name == OURS_SHIPPED:
                    self._results.variants[workload.name] = _variant(started)
                self._closed_loops(workload, server, requests, started)
                self._open_loops(workload, server, requests, started)
        except NotStarted as error:
            self._results.failed[server.name] = str(error)
            print(f"  {error}", flush=True)

    def _closed_loops(self, workload: Workload, server: Server, requests: list[bytes], started: Running) -> None:
        for callers in self._plan.callers:
            load = closed_loop(started.target, requests, callers, self._window(started))
            good = len(_good(load))
            record = Closed(
                round=self._round,
                workload=workload.name,
                server=server.name,
                callers=callers,
                rate=good / load.seconds,
                **_latency(load),
                errors=_errors(load),
                server_ms=1000 * load.server_cpu / max(good, 1),
                client_ms=1000 * load.client_cpu / max(len(load.finished()), 1),
                megabytes=started.family.peak_megabytes(),
            )
            self._results.closed.append(record)

    def _open_loops(self, workload: Workload, server: Server, requests: list[bytes], started: Running) -> None:
        """Our own service only: at a share of our capacity a slower server would only pile up requests."""
        if server.name not in (OURS, OURS_SHIPPED, OURS_STUDENT):
            return
        for share in self._plan.shares:
            offered = share * self._capacity(workload)
            load = open_loop(started.target, requests, offered, self._window(started), seed=self._round)
            record = Open(
                round=self._round,
                workload=workload.name,
                server=server.name,
                share=share,
                offered=offered,
                rate=len(_good(load)) / load.seconds,
                **_latency(load),
                errors=_errors(load),
            )
            self._results.open.append(record)

    def _ceiling(self, workload: Workload, variant: str) -> None:
        self._say(workload, f"bare loop, {variant}")
        bundle, plan = workload.bundle, self._plan
        job = Job(
            graph=bundle.path / bundle.graph(variant, instructions()).entry.file,
            pad_id=bundle.encoder.pad_id,
            tickets=[list(bundle.encode(text).ids) for text in workload.tickets.texts],
            cores=plan.cores,
            seconds=plan.seconds * _CEILING_PART,
        )
        found = measure_apart(job)
        here = {"round": self._round, "workload": workload.name, "variant": variant}
        self._results.ceilings += [Ceiling(**here, **loop.model_dump()) for loop in found.loops]
        self._results.singles += [Single(**here, **alone.model_dump()) for alone in found.alone]

    def _capacity(self, workload: Workload) -> float:
        """Our fp32 throughput with the most callers so far; our service comes first in the first round."""
        ours = (r for r in self._results.closed if r.server == OURS and r.workload == workload.name)
        return statistics.median(r.rate for r in ours if r.callers == max(self._plan.callers))

    def _window(self, started: Running) -> Window:
        return Window(self._plan.warm, self._plan.seconds, started.family.cpu_seconds)

    def _say(self, workload: Workload, what: str) -> None:
        print(f"round {self._round + 1}/{self._plan.rounds}, {workload.name}: {what}", flush=True)


def turned(parts: list[T], by: int) -> list[T]:
    """The same order, rotated by `by` places."""
    return parts[by % len(parts) :] + parts[: by % len(parts)]


def _good(load: Load) -> list[float]:
    """Times of good answers inside the window."""
    return [answer.finished for answer in load.finished() if answer.status == OK]


def _errors(load: Load) -> int:
    return sum(answer.status != OK for answer in load.due())


def _latency(load: Load) -> dict[str, float]:
    """Latency of good answers to requests due inside the window, in ms; NaN if there are none."""
    times = [1000 * (answer.finished - answer.due) for answer in load.due() if answer.status == OK]
    median, high = np.percentile(times, (50, 99)) if times else (np.nan, np.nan)
    return {"median": float(median), "p99": float(high)}


def _variant(started: Running) -> str:
    """The variant that our service selected."""
    with urllib.request.urlopen(f"http://{started.target.host}:{started.target.port}/v1/model", timeout=10) as answer:
        return str(json.load(answer)["variant"])
