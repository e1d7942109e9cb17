"""`Engine`: one bundle ready to answer: opened, loaded, its golden rows replayed on the sessions that will serve.

`loader.py` opens one at start and at every reload, `router.py` asks it. It never changes; another bundle is another
engine.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.bundle import Bundle, open_bundle
from models.encoding import Batch, Encoding
from models.errors import BundleError
from models.golden import Replay, replay
from models.scoring import Logits
from service.decision import ModelIdentity
from service.inference.answers import Answers
from service.inference.batcher import Batcher, Limits
from service.inference.entries import BatchReport
from service.inference.machine import Machine, this_machine
from service.inference.packing import Packing
from service.inference.plan import Chosen, Plan, choose_plan
from service.inference.runner import DeviceError, Runner, cuda_offered, open_runner
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Engine:
    bundle: Bundle
    sessions: "Sessions"
    chosen: Chosen
    batcher: Batcher
    answers: Answers
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
    settings: Settings, on_batch: Callable[[BatchReport], None], bundle: Bundle | Path, *, idle: float = 0
) -> Engine:
    """Verify, load and replay; takes seconds, so call it in a thread.

    Args:
        settings: they decide the plan.
        on_batch: told of every finished run, on the event loop.
        bundle: where it lies, or one that is open already.
        idle: seconds of rest per second of replaying: beside a service under load, the cores are its own.

    Raises:
        BundleError: the bundle is missing, damaged, foreign, or its golden rows come out differently here.
        DeviceError: the device asked for is not there.
        PlanError: the settings ask for what this machine or bundle cannot do.
    """
    opened = open_bundle(bundle) if isinstance(bundle, Path) else bundle
    chosen, sessions = _open_sessions(settings, opened)
    plan = chosen.plan
    replayed = _replay(opened, sessions, plan, idle)

    def infer(encodings: Sequence[Encoding], lone: bool) -> Logits:
        return sessions.run(opened.encoder.batch(encodings), lone=lone)

    limits = _limits(settings, plan, opened.encoder.max_tokens)
    model = ModelIdentity(opened.version, plan.variant, opened.manifest.text_version)
    answers = Answers(settings.cache_entries)
    return Engine(opened, sessions, chosen, Batcher(infer, limits, on_batch), answers, limits, model, replayed)


def _open_sessions(settings: Settings, bundle: Bundle) -> tuple[Chosen, Sessions]:
    """`auto` falls back to the CPU where a GPU is offered but does not start."""
    machine = this_machine()
    if settings.device == "auto" and cuda_offered():
        try:
            return _open_on("cuda", settings, bundle, machine)
        except DeviceError:
            return _open_on("cpu", settings, bundle, machine)
    return _open_on("cpu" if settings.device == "auto" else settings.device, settings, bundle, machine)


def _open_on(device: str, settings: Settings, bundle: Bundle, machine: Machine) -> tuple[Chosen, Sessions]:
    chosen = choose_plan(settings, bundle, machine, device)
    return chosen, load_sessions(bundle, chosen.plan, device, settings.state_dir / "tensorrt")


def load_sessions(bundle: Bundle, plan: Plan, device: str, engines: Path | None = None) -> Sessions:
    """Load the plan's graph, as many times as it needs.

    Raises:
        BundleError, DeviceError: as `open_runner`.
    """
    graph = bundle.read(bundle.model(plan.variant).file)

    def load(threads: int) -> Runner:
        return open_runner(graph, device, threads, plan.graph, engines)

    lone = plan.lone_threads if plan.lone_threads != plan.intra_op_threads else None
    return Sessions(load(plan.intra_op_threads), load(lone) if lone else None)


def _replay(bundle: Bundle, sessions: Sessions, plan: Plan, idle: float) -> Replay:
    """Replay on every session: they run other threads, so each must show that it gives the same."""

    def infer(batch: Batch) -> Logits:
        started = time.perf_counter()
        logits = sessions.run(batch)
        time.sleep(idle * (time.perf_counter() - started))
        return logits

    def infer_lone(batch: Batch) -> Logits:
        return sessions.run(batch, lone=True)

    tolerance = bundle.model(plan.variant).tolerance
    try:
        if sessions.lone:
            replay(bundle, infer_lone, tolerance)
        return replay(bundle, infer, tolerance)
    except BundleError:
        raise
    except Exception as error:  # whatever onnxruntime makes of a graph that does not fit its tokenizer or its labels
        raise BundleError(
            f"bundle {bundle.version}: its graph cannot run ({type(error).__name__}); export it anew"
        ) from error


def _limits(settings: Settings, plan: Plan, max_tokens: int) -> Limits:
    packing = Packing(plan.max_batch_tokens, plan.max_padding)
    lone = plan.lone_tokens if plan.lone_threads else None
    return Limits(packing, settings.queue_tokens, plan.runners, max_tokens, lone)
