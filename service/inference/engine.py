"""`Engine`: a bundle that is opened, loaded and checked by replaying its golden rows on the sessions that will serve.

`routing/reload.py` opens an engine at start and at every reload, `routing/router.py` uses it. An engine is immutable;
another bundle needs a new engine.
"""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from models.bundle.bundle import NGRAMS, Bundle, Graph, open_bundle
from models.bundle.golden import Replay, replay
from models.encoding import Batch, Encoding
from models.errors import TicketRouterError
from models.scoring import Logits, Outputs, Verdict
from service.decision import ModelIdentity
from service.inference.batcher import Batcher, BatcherLimits
from service.inference.cache import ResponseCache
from service.inference.hardware import this_machine
from service.inference.onnx_session import (
    DeviceError,
    NgramTable,
    Runner,
    cuda_offered,
    open_runner,
    runtime_errors_as_bundle_error,
)
from service.inference.packing import Packing
from service.inference.plan import Plan, choose_plan
from service.metrics.batch_report import BatchReport
from service.settings import Settings

T = TypeVar("T")

_log = structlog.get_logger()


class OpeningStopped(TicketRouterError):
    """Opening a bundle was stopped for a reason other than the bundle."""


@dataclass(frozen=True, slots=True)
class Engine:
    bundle: Bundle
    sessions: "Sessions"
    plan: Plan
    batcher: Batcher
    cache: ResponseCache
    limits: BatcherLimits
    model: ModelIdentity
    golden_replay: Replay
    ngrams: NgramTable | None
    """None: the bundle has no n-gram model, or is of a release that did not write its table."""

    @property
    def graph(self) -> Graph:
        """The graph that runs. It judges its own logits."""
        return self.plan.graph

    @property
    def provider(self) -> str:
        return self.sessions.shared.provider

    @property
    def busy_threads(self) -> int:
        """Most threads that compute now: a single run may be a lone one, and a prepared one waits for a runner."""
        running, plan = min(self.batcher.running, self.limits.runners), self.plan
        return plan.lone_threads if running == 1 and plan.lone_threads else running * plan.intra_op_threads

    def thresholds_of(self, verdict: Verdict) -> dict[str, float | None]:
        """By field, the confidence from which the best label is routed; None: never, or no model was asked."""
        thresholds: dict[str, float | None] = {}
        for scoring, field in zip(self.graph.scorings, (verdict.department, *verdict.fields.values()), strict=True):
            label = field.candidates[0].label if field.candidates else None
            thresholds[scoring.field.name] = (
                None if label is None else scoring.thresholds[scoring.field.labels.index(label)].route
            )
        return thresholds

    async def close(self) -> None:
        await self.batcher.close()


@dataclass(frozen=True, slots=True)
class Sessions:
    """The loaded graph: a session for parallel runs, and an optional one with more threads for a lone ticket."""

    shared: Runner
    lone: Runner | None

    def run(self, batch: Batch, *, lone: bool = False) -> Logits:
        """Logits of a padded batch, float32, shape [rows, labels]."""
        return (self.lone if lone and self.lone else self.shared).run(batch)

    def run_with_pooled(self, batch: Batch, *, lone: bool = False) -> Outputs:
        """Logits and pooled vectors of a padded batch, float32."""
        return (self.lone if lone and self.lone else self.shared).run_with_pooled(batch)


def open_engine(
    settings: Settings,
    on_batch: Callable[[BatchReport], None],
    source: Bundle | Path,
    *,
    pause_ratio: float = 0,
    stop: threading.Event | None = None,
) -> Engine:
    """Verify and load a bundle and replay its golden rows. Takes seconds, so call it in a thread.

    Args:
        settings: determine the plan.
        on_batch: called on the event loop after every run.
        source: folder of the bundle, or an open bundle.
        pause_ratio: seconds of pause per second of replaying, to leave the cores to a service under load.
        stop: an event that stops the opening.

    Raises:
        BundleError: the bundle is missing, damaged, incompatible, not signed as the settings require, or the replay of
            its golden rows gives other results here.
        DeviceError: the requested device is not available.
        PlanError: the settings are impossible on this machine or with this bundle.
        OpeningStopped: `stop` was set.
    """
    stop = stop or threading.Event()
    bundle = open_bundle(source, settings.bundle_key) if isinstance(source, Path) else source
    machine = this_machine()

    def load(device: str) -> tuple[Plan, Sessions]:
        plan = choose_plan(settings, bundle, machine, device)
        return plan, load_sessions(bundle, plan, device, settings.state_dir / "tensorrt")

    plan, sessions = with_cpu_fallback(settings.device, load)
    golden_replay = _replay(bundle, sessions, plan, pause_ratio, stop)

    packing = Packing(plan.max_batch_tokens, plan.max_padding, plan.length_multiple)

    def infer(encodings: Sequence[Encoding], lone: bool) -> Sequence[Verdict]:
        return plan.graph.judge_batch(sessions.run(bundle.encoder.batch(encodings, packing.multiple), lone=lone))

    limits = BatcherLimits(
        packing=packing,
        queue_tokens=settings.queue_tokens,
        queue_seconds=settings.queue_seconds,
        runners=plan.runners,
        max_tokens=bundle.encoder.max_tokens,
        lone_tokens=plan.lone_tokens if plan.lone_threads else None,
    )
    model = ModelIdentity(bundle.version, plan.variant, bundle.manifest.text_version)
    cache = ResponseCache(settings.cache_entries)
    batcher = Batcher(infer, limits, on_batch, cache.put)
    ngrams = NgramTable(functools.partial(bundle.read, NGRAMS)) if NGRAMS in bundle.manifest.files else None
    return Engine(bundle, sessions, plan, batcher, cache, limits, model, golden_replay, ngrams)


def with_cpu_fallback(device: str, load: Callable[[str], T]) -> T:
    """Load on this device; `auto` falls back to the CPU if onnxruntime supports a GPU that does not start."""
    if device == "auto" and cuda_offered():
        try:
            return load("cuda")
        except DeviceError as error:
            _log.warning("GPU does not start, falling back to the CPU", cause=str(error))
            return load("cpu")
    return load("cpu" if device == "auto" else device)


def load_sessions(bundle: Bundle, plan: Plan, device: str, engines: Path | None = None) -> Sessions:
    """Load the graph of the plan, once or twice.

    Raises:
        BundleError, DeviceError: as `open_runner`.
    """
    content = bundle.read(plan.graph.entry.file)

    def open_session(threads: int) -> Runner:
        return open_runner(content, device, threads, engines)

    lone = plan.lone_threads if plan.lone_threads != plan.intra_op_threads else None
    return Sessions(open_session(plan.intra_op_threads), open_session(lone) if lone else None)


def _replay(bundle: Bundle, sessions: Sessions, plan: Plan, pause_ratio: float, stop: threading.Event) -> Replay:
    """Replay on every session: the number of threads differs, so each must show that its results are the same."""

    def infer(batch: Batch, *, lone: bool = False) -> Outputs:
        started = time.perf_counter()
        outputs = sessions.run_with_pooled(batch, lone=lone)
        if stop.wait(pause_ratio * (time.perf_counter() - started)):
            raise OpeningStopped("the service is stopping")
        return outputs

    with runtime_errors_as_bundle_error(bundle.version):
        if sessions.lone:
            replay(bundle, plan.graph, functools.partial(infer, lone=True))
        return replay(bundle, plan.graph, infer)
