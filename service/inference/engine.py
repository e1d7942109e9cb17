"""`Engine`: one bundle ready to answer: opened, loaded, its golden rows replayed on the sessions that will serve.

`routing/reload.py` opens one at start and at every reload, `routing/router.py` asks it. It never changes; another
bundle is another engine.
"""

import functools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from models.bundle.bundle import Bundle, open_bundle
from models.bundle.golden import Replay, replay
from models.encoding import Batch, Encoding
from models.errors import TicketRouterError
from models.scoring import Logits
from service.decision import ModelIdentity
from service.inference.batcher import Batcher, Limits
from service.inference.cache import ResponseCache
from service.inference.hardware import this_machine
from service.inference.onnx_session import DeviceError, Runner, cuda_offered, faults_of, open_runner
from service.inference.packing import Packing
from service.inference.plan import Plan, choose_plan
from service.metrics.batch_report import BatchReport
from service.settings import Settings

T = TypeVar("T")

_log = structlog.get_logger()


class OpeningStopped(TicketRouterError):
    """Opening a bundle was given up, for no fault of the bundle."""


@dataclass(frozen=True, slots=True)
class Engine:
    bundle: Bundle
    sessions: "Sessions"
    plan: Plan
    batcher: Batcher
    answers: ResponseCache
    limits: Limits
    model: ModelIdentity
    replayed: Replay

    @property
    def provider(self) -> str:
        return self.sessions.side_by_side.provider

    async def close(self) -> None:
        await self.batcher.close()


@dataclass(frozen=True, slots=True)
class Sessions:
    """The loaded graph: for runs side by side, and once more on more threads for a ticket that has no company."""

    side_by_side: Runner
    lone: Runner | None

    def run(self, batch: Batch, *, lone: bool = False) -> Logits:
        """Logits of a padded batch, float32, shape [rows, labels]."""
        return (self.lone if lone and self.lone else self.side_by_side).run(batch)


def open_engine(
    settings: Settings,
    on_batch: Callable[[BatchReport], None],
    bundle: Bundle | Path,
    *,
    idle: float = 0,
    stop: threading.Event | None = None,
) -> Engine:
    """Verify, load and replay; takes seconds, so call it in a thread.

    Args:
        settings: they decide the plan.
        on_batch: told of every finished run, on the event loop.
        bundle: where it lies, or one that is open already.
        idle: seconds of rest per second of replaying: beside a service under load, the cores are its own.
        stop: when it is set, all this is given up.

    Raises:
        BundleError: the bundle is missing, damaged, foreign, not signed as the settings ask, or its golden rows come
            out differently here.
        DeviceError: the device asked for is not there.
        PlanError: the settings ask for what this machine or bundle cannot do.
        OpeningStopped: `stop` was set meanwhile.
    """
    stop = stop or threading.Event()
    opened = open_bundle(bundle, settings.bundle_key) if isinstance(bundle, Path) else bundle
    machine = this_machine()

    def load(device: str) -> tuple[Plan, Sessions]:
        plan = choose_plan(settings, opened, machine, device)
        return plan, load_sessions(opened, plan, device, settings.state_dir / "tensorrt")

    plan, sessions = on_device(settings.device, load)
    replayed = _replay(opened, sessions, plan, idle, stop)

    def infer(encodings: Sequence[Encoding], lone: bool) -> Logits:
        return sessions.run(opened.encoder.batch(encodings), lone=lone)

    limits = _limits(settings, plan, opened.encoder.max_tokens)
    model = ModelIdentity(opened.version, plan.variant, opened.manifest.text_version)
    answers = ResponseCache(settings.cache_entries)
    batcher = Batcher(infer, limits, on_batch, answers.put)
    return Engine(opened, sessions, plan, batcher, answers, limits, model, replayed)


def on_device(device: str, attempt: Callable[[str], T]) -> T:
    """Do it on this device; `auto` falls back to the CPU where a GPU is offered but does not start."""
    if device == "auto" and cuda_offered():
        try:
            return attempt("cuda")
        except DeviceError as error:
            _log.warning("no GPU after all, the CPU serves", cause=str(error))
            return attempt("cpu")
    return attempt("cpu" if device == "auto" else device)


def load_sessions(bundle: Bundle, plan: Plan, device: str, engines: Path | None = None) -> Sessions:
    """Load the plan's graph, as many times as it needs.

    Raises:
        BundleError, DeviceError: as `open_runner`.
    """
    graph = bundle.read(bundle.model(plan.variant).file)

    def load(threads: int) -> Runner:
        return open_runner(graph, device, threads, engines)

    lone = plan.lone_threads if plan.lone_threads != plan.intra_op_threads else None
    return Sessions(load(plan.intra_op_threads), load(lone) if lone else None)


def _replay(bundle: Bundle, sessions: Sessions, plan: Plan, idle: float, stop: threading.Event) -> Replay:
    """Replay on every session: they run other threads, so each must show that it gives the same."""

    def infer(batch: Batch, *, lone: bool = False) -> Logits:
        started = time.perf_counter()
        logits = sessions.run(batch, lone=lone)
        if stop.wait(idle * (time.perf_counter() - started)):
            raise OpeningStopped("the service is stopping")
        return logits

    tolerance = bundle.model(plan.variant).tolerance
    with faults_of(bundle.version):
        if sessions.lone:
            replay(bundle, functools.partial(infer, lone=True), tolerance)
        return replay(bundle, infer, tolerance)


def _limits(settings: Settings, plan: Plan, max_tokens: int) -> Limits:
    packing = Packing(plan.max_batch_tokens, plan.max_padding)
    lone = plan.lone_tokens if plan.lone_threads else None
    return Limits(packing, settings.queue_tokens, settings.queue_seconds, plan.runners, max_tokens, lone)
