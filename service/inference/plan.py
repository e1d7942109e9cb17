"""How a bundle runs on a machine: which variant, how many sessions and threads, how large a batch.

The plan follows rules that hold on most machines; settings take precedence. Measuring a plan on the machine gained too
little to keep (docs/log.md). `engine.py` loads the sessions of the plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from models.bundle.bundle import Bundle, Graph
from models.bundle.manifest import Variant
from models.errors import TicketRouterError
from service.inference.hardware import Machine
from service.settings import Settings

FASTEST_FIRST: Mapping[str, tuple[Variant, ...]] = {"cpu": ("int8", "fp32"), "cuda": ("fp16", "fp32")}
"""For `auto`: a bundle contains no variant that was shown to lose accuracy, and each keeps a promise of its own, so the
fastest one that suits is right."""
BATCH_TOKENS = {"cpu": 256, "cuda": 16384}
"""On a CPU, a ticket in a batch of sixteen short ones costs a third of its cost alone. Larger batches save nothing
more, and tickets that just missed a batch wait longer for its end."""
MAX_PADDING = {"cpu": 0.1, "cuda": 0.5}
LENGTH_MULTIPLE = {"cpu": 1, "cuda": 8}
"""A CPU's time follows the tokens: padding to eights costs a short ticket a fifth more (docs/log.md). A GPU's tensor
cores compute eights."""
CUDA_RUNNERS = 2
LONE_THREADS = 4
"""With more threads for one ticket of a small model, synchronisation costs more than it saves."""
LONE_TOKENS: Mapping[Variant, int] = {"fp32": 8, "fp16": 8, "int8": 128}
"""Measured on two cores: in int8 one thread finishes a shorter ticket before a second thread has woken up."""


class PlanError(TicketRouterError):
    """The settings ask for an impossible plan."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to run one graph.

    `runners` runs execute in parallel, each on `intra_op_threads`. While nothing else runs, a lone ticket of at least
    `lone_tokens` uses a separate session with `lone_threads`; None: there is no such session.
    """

    graph: Graph
    runners: int
    intra_op_threads: int
    lone_threads: int | None
    lone_tokens: int
    max_batch_tokens: int
    max_padding: float
    length_multiple: int

    @property
    def variant(self) -> Variant:
        return self.graph.entry.variant


def device_kind(device: str) -> Literal["cpu", "cuda"]:
    """The device kind of a bundle: TensorRT runs the same graphs on the same GPUs as CUDA."""
    return "cpu" if device == "cpu" else "cuda"


def choose_plan(settings: Settings, bundle: Bundle, machine: Machine, device: str) -> Plan:
    """The plan for this bundle on this machine: the default plan, overridden by the settings.

    Raises:
        BundleError: the bundle has no such variant, or none for this processor.
        PlanError: the settings ask for an impossible plan.
    """
    plan = _with_settings(default_plan(settings.variant, bundle, machine, device), settings, machine, device)
    _check_plan(plan, settings, bundle, machine, device)
    return plan


def default_plan(variant: str, bundle: Bundle, machine: Machine, device: str) -> Plan:
    """The plan by the rules that hold on most machines.

    Raises:
        BundleError: the bundle has no such variant, or none for this processor.
    """
    kind = device_kind(device)
    on_gpu = kind == "cuda"
    fastest = fastest_graph(bundle, machine, kind) if variant == "auto" else bundle.graph(variant, machine.instructions)
    return Plan(
        graph=fastest,
        runners=CUDA_RUNNERS if on_gpu else machine.cores,
        intra_op_threads=1,
        lone_threads=None if on_gpu or machine.cores == 1 else min(machine.cores, LONE_THREADS),
        lone_tokens=LONE_TOKENS[fastest.entry.variant],
        max_batch_tokens=max(BATCH_TOKENS[kind], bundle.encoder.max_tokens),
        max_padding=MAX_PADDING[kind],
        length_multiple=LENGTH_MULTIPLE[kind],
    )


def fastest_graph(bundle: Bundle, machine: Machine, kind: str) -> Graph:
    """The graph for `auto`: probably the fastest one that suits this device kind and processor; where none does, the
    fp32 one, whose golden rows tell whether it serves nevertheless."""
    for variant in FASTEST_FIRST[kind]:
        for graph in bundle.graphs:
            if graph.entry.variant == variant and graph.entry.suits(kind, machine.instructions):
                return graph
    return bundle.fp32


def _with_settings(plan: Plan, settings: Settings, machine: Machine, device: str) -> Plan:
    overrides: dict[str, Any] = {
        name: value
        for name in ("runners", "intra_op_threads", "max_batch_tokens")
        if (value := getattr(settings, name)) is not None
    }
    if settings.intra_op_threads is not None or settings.runners is not None:
        # Explicit threads or runners: no additional session.
        overrides["lone_threads"] = None
    if settings.runners is None and settings.intra_op_threads is not None and device == "cpu":
        overrides["runners"] = max(1, machine.cores // settings.intra_op_threads)
    return replace(plan, **overrides)


def _check_plan(plan: Plan, settings: Settings, bundle: Bundle, machine: Machine, device: str) -> None:
    longest, threads = bundle.encoder.max_tokens, plan.runners * plan.intra_op_threads
    for name, tokens in (("max-batch-tokens", plan.max_batch_tokens), ("queue-tokens", settings.queue_tokens)):
        if tokens < longest:
            raise PlanError(f"--{name} {tokens} is less than one ticket of {longest} tokens; give at least {longest}")
    if device == "cpu" and threads > machine.cores:
        raise PlanError(
            f"--runners {plan.runners} with --intra-op-threads {plan.intra_op_threads} make {threads} threads, "
            f"this process may use {machine.cores} cores; lower one of them"
        )
