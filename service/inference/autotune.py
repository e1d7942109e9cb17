"""Finds the best plan for a bundle on this machine by measuring, some twenty seconds long.

One thing after another, each a `race` against what was best so far: graph and threads, then the size of a batch, then
from which length on a lone ticket gets more threads; last, which variant is fastest. `engine.py` asks for it at a first
start, `tune_command.py` on the command line; `bench.py` measures, `plan.py` keeps the result.
"""

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import structlog

from models.bundle.bundle import Bundle
from models.bundle.manifest import Variant
from service.inference.hardware import Machine
from service.inference.plan import (
    Graph,
    Measured,
    Plan,
    PlanError,
    PlanFile,
    default_plan,
    kept_plans,
    kind_of,
    plan_path,
    variants_to_run,
    write_plans,
)
from service.inference.tuning.bench import Bench, Runs
from service.inference.tuning.lone import LoneTimes, fastest_alone, ladder
from service.inference.tuning.race import Trial, best, race
from service.settings import Settings

SECONDS = 20.0
BUDGETS = {"cpu": (128, 256, 512, 1024), "cuda": (4096, 8192, 16384, 32768)}
CUDA_RUNNERS = (1, 2, 3)
FIGURE_SECONDS = 0.5
FIGURES = 6
"""At least so many measurements fit into a race's time, however short it is; long races have more of them, not longer
ones, for what disturbs a machine comes and goes."""
RACES = 2
"""For each variant: graph and threads, and the batch budget. Measuring lone tickets counts as half a race."""

Watch = Callable[[Plan], None]
"""Told of each plan right before it is measured; what it raises ends the tuning."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was found; and every plan that was tried, with its figures from all races, and those that won.

    Trials are about load: their plans have no session for a lone ticket.
    """

    file: PlanFile
    tried: tuple[Trial, ...]
    won: frozenset[Plan]


@dataclass(frozen=True, slots=True)
class Place:
    """Where and for what is tuned."""

    bundle: Bundle
    machine: Machine
    device: str

    def plan_path(self, settings: Settings) -> Path:
        """Where its plan is kept."""
        return plan_path(settings.state_dir, self.machine, self.bundle, self.device)


def tuned_at_start(
    settings: Settings, place: Place, load: Callable[[Plan], Runs], give_up: threading.Event
) -> PlanFile | None:
    """Tune and keep the plan; None where there is nothing to tune.

    That it cannot be kept is a warning in the log: the service can run with it all the same.

    Raises:
        BundleError, DeviceError: as `tune`.
        PlanError: `give_up` was set.
    """

    def watch(_plan: Plan) -> None:
        if give_up.is_set():
            raise PlanError("stopped while tuning; nothing was kept")

    if place.device == "tensorrt":
        return None
    _log.info("tuning", version=place.bundle.version, device=place.device, about_seconds=SECONDS)
    found = tune(settings, place, load, SECONDS, watch).file
    try:
        write_plans(place.plan_path(settings), found)
    except PlanError as error:
        _log.warning("plan not kept", cause=str(error))
    return found


def tune(settings: Settings, place: Place, load: Callable[[Plan], Runs], seconds: float, watch: Watch) -> Tuning:
    """Measure the variants that the settings leave open.

    Args:
        settings: `variant` and `state_dir`, whose plans of other variants are kept.
        place: bundle, machine and device.
        load: loads what a plan needs.
        seconds: about how long; a large model or many cores take longer, and below some ten per variant the figures
            are rough.
        watch: told of each plan before it is measured.

    Raises:
        BundleError: the bundle has no such variant, or its graph cannot run.
        DeviceError: the device is not there.
        PlanError: there is nothing to tune on this device.
    """
    if place.device == "tensorrt":
        raise PlanError("device tensorrt builds its own plan for each shape, there is nothing to tune; leave tune out")
    variants = variants_to_run(settings.variant, place.bundle, place.machine, place.device)
    race_seconds = seconds / (len(variants) * (RACES + 0.5) + (len(variants) > 1))
    figure_seconds = min(FIGURE_SECONDS, race_seconds / FIGURES)
    search = _Search(place, Bench(place.bundle, place.machine, place.device, load, figure_seconds), watch)
    found = search.run(variants, race_seconds)
    kept = kept_plans(settings.state_dir, place.bundle, place.machine, place.device)
    others = [entry for entry in kept.plans if entry.plan.variant not in variants] if kept else []
    if others:
        found = sorted([*found, *others], key=lambda entry: entry.tickets_per_second, reverse=True)
    return Tuning(_file(place, found), search.tried, frozenset(search.won))


class _Search:
    def __init__(self, place: Place, bench: Bench, watch: Watch) -> None:
        self._place = place
        self._bench = bench
        self._watch = watch
        self._rates: dict[Plan, list[float]] = {}
        self.won: list[Plan] = []

    @property
    def tried(self) -> tuple[Trial, ...]:
        return tuple(Trial(plan, tuple(rates)) for plan, rates in self._rates.items())

    def run(self, variants: Sequence[Variant], seconds: float) -> list[Measured]:
        """The best plan of each variant, the fastest first; `seconds` for one race."""
        lone = {}
        for variant in variants:
            plan = self._fastest(variant, seconds)
            lone[plan] = self._lone_times(plan, seconds / 2)
        self.won = list(lone)
        first = best(race(self.won, self._measure, seconds)).plan if len(lone) > 1 else self.won[0]
        rates = {trial.plan: trial.rate for trial in self.tried}
        self.won.sort(key=lambda plan: (plan is first, rates[plan]), reverse=True)
        return [self._measured(plan, rates[plan], lone[plan]) for plan in self.won]

    def _fastest(self, variant: Variant, seconds: float) -> Plan:
        place = self._place
        default = default_plan(variant, place.bundle, place.machine, place.device)
        shapes = _shapes(default.model_copy(update={"lone_threads": None}), place)
        shape = best(race(shapes, self._measure, seconds)).plan
        return best(race(_budgets(shape, place), self._measure, seconds)).plan

    def _lone_times(self, plan: Plan, seconds: float) -> LoneTimes:
        lengths, threads = ladder(self._place.bundle.encoder.max_tokens), _lone_threads(plan, self._place)
        options = []
        for count in threads:
            with_lone = plan.model_copy(update={"lone_threads": count})
            self._watch(with_lone)
            options.append(self._bench.lone_times(with_lone, lengths, seconds / len(threads)))
        return fastest_alone(options, self._bench.lengths)

    def _measured(self, plan: Plan, rate: float, lone: LoneTimes) -> Measured:
        pays = lone.pays_from
        if pays is not None:
            plan = plan.model_copy(update={"lone_threads": lone.threads, "lone_tokens": pays})
        return Measured(plan=plan, tickets_per_second=rate, lone_milliseconds=lone.median(self._bench.lengths))

    def _measure(self, plan: Plan) -> float:
        self._watch(plan)
        rate = self._bench.tickets_per_second(plan)
        self._rates.setdefault(plan, []).append(rate)
        return rate


def doubling(cores: int) -> list[int]:
    """1, 2, 4 … and the cores themselves."""
    return sorted({cores, *(1 << power for power in range(cores.bit_length()) if 1 << power <= cores)})


def _shapes(default: Plan, place: Place) -> list[Plan]:
    """Each graph with each way to share the cores, the default first; those of one graph next to each other."""
    cores = place.machine.cores
    if kind_of(place.device) == "cuda":
        shapes = [(runners, 1) for runners in CUDA_RUNNERS]
    else:
        shapes = [(cores // threads, threads) for threads in doubling(cores)]
    plans = [
        default.model_copy(update={"graph": graph, "runners": runners, "intra_op_threads": threads})
        for graph in get_args(Graph)
        for runners, threads in shapes
    ]
    return [default, *(plan for plan in plans if plan != default)]


def _budgets(plan: Plan, place: Place) -> list[Plan]:
    fitting = [tokens for tokens in BUDGETS[kind_of(place.device)] if tokens >= place.bundle.encoder.max_tokens]
    others = [plan.model_copy(update={"max_batch_tokens": tokens}) for tokens in fitting]
    return [plan, *(other for other in others if other != plan)]


def _lone_threads(plan: Plan, place: Place) -> list[int | None]:
    """Only more threads than an ordinary run has can be faster; None, to have its time all the same: there are none."""
    on_gpu = kind_of(place.device) == "cuda"
    more = [] if on_gpu else [count for count in doubling(place.machine.cores) if count > plan.intra_op_threads]
    return [*more] or [None]


def _file(place: Place, found: Sequence[Measured]) -> PlanFile:
    return PlanFile(
        schema_version=1,
        machine=place.machine.key,
        processor=place.machine.processor,
        cores=place.machine.cores,
        bundle=place.bundle.version,
        device=place.device,
        measured_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        plans=tuple(found),
    )
