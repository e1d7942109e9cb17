"""How a bundle runs on a machine: which variant, how many sessions and threads, how large a batch.

Rules that hold on most machines decide, and settings come before them. Measuring a plan on the machine gained too
little to keep (docs/log.md). `engine.py` builds what a plan says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from models.bundle.bundle import Bundle
from models.bundle.manifest import Variant
from models.errors import TicketRouterError
from service.inference.hardware import Machine
from service.settings import Settings

FASTEST_FIRST: Mapping[str, tuple[Variant, ...]] = {"cpu": ("int8", "fp32"), "cuda": ("fp16", "fp32")}
"""`auto`: a variant stands in a bundle only when its own gates passed, so the fastest one that suits is right."""
BATCH_TOKENS = {"cpu": 256, "cuda": 16384}
"""On a CPU sixteen short tickets together cost a third of what each costs alone; more of them save nothing and make
those that just missed a batch wait for all of it."""
MAX_PADDING = {"cpu": 0.1, "cuda": 0.5}
CUDA_RUNNERS = 2
LONE_THREADS = 4
"""More threads for one ticket of a small model wait for each other longer than they save."""
LONE_TOKENS: Mapping[Variant, int] = {"fp32": 8, "fp16": 8, "int8": 128}
"""Measured on two cores: in int8 a shorter ticket is done on one thread before a second one is awake."""


class PlanError(TicketRouterError):
    """The settings ask for a plan that cannot be."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to run one variant.

    `runners` runs go side by side, each on `intra_op_threads`. While nothing else runs, a lone ticket of at least
    `lone_tokens` takes a session of its own with `lone_threads`; None: there is no such session.
    """

    variant: Variant
    runners: int
    intra_op_threads: int
    lone_threads: int | None
    lone_tokens: int
    max_batch_tokens: int
    max_padding: float


def kind_of(device: str) -> Literal["cpu", "cuda"]:
    """What a device is to a bundle: TensorRT runs on the same GPUs, from the same graphs."""
    return "cpu" if device == "cpu" else "cuda"


def choose_plan(settings: Settings, bundle: Bundle, machine: Machine, device: str) -> Plan:
    """The plan for this bundle on this machine: the default, changed where the settings say so.

    Raises:
        BundleError: the bundle has no such variant.
        PlanError: what the settings ask for cannot be.
    """
    plan = _with_settings(default_plan(settings.variant, bundle, machine, device), settings, machine, device)
    _refuse_impossible(plan, settings, bundle, machine, device)
    return plan


def default_plan(variant: str, bundle: Bundle, machine: Machine, device: str) -> Plan:
    """What holds on most machines.

    Raises:
        BundleError: the bundle has no such variant.
    """
    kind = kind_of(device)
    on_gpu = kind == "cuda"
    taken = variants_to_run(variant, bundle, machine, device)[0]
    return Plan(
        variant=taken,
        runners=CUDA_RUNNERS if on_gpu else machine.cores,
        intra_op_threads=1,
        lone_threads=None if on_gpu or machine.cores == 1 else min(machine.cores, LONE_THREADS),
        lone_tokens=LONE_TOKENS[taken],
        max_batch_tokens=max(BATCH_TOKENS[kind], bundle.encoder.max_tokens),
        max_padding=MAX_PADDING[kind],
    )


def variants_to_run(choice: str, bundle: Bundle, machine: Machine, device: str) -> list[Variant]:
    """The variants that a choice leaves open, at least one, probably fastest first.

    Raises:
        BundleError: the bundle has no such variant.
    """
    if choice != "auto":
        return [bundle.model(choice).variant]
    return suiting_variants(bundle, machine, device) or [bundle.manifest.models[0].variant]


def suiting_variants(bundle: Bundle, machine: Machine, device: str) -> list[Variant]:
    """The bundle's variants made for this device and processor, probably fastest first."""
    kind = kind_of(device)
    suiting = {entry.variant for entry in bundle.manifest.models if entry.suits(kind, machine.instructions)}
    return [variant for variant in FASTEST_FIRST[kind] if variant in suiting]


def _with_settings(plan: Plan, settings: Settings, machine: Machine, device: str) -> Plan:
    given: dict[str, Any] = {
        name: value
        for name in ("runners", "intra_op_threads", "max_batch_tokens")
        if (value := getattr(settings, name)) is not None
    }
    if settings.intra_op_threads is not None or settings.runners is not None:
        # Who sets threads by hand wants these and no other session beside them.
        given["lone_threads"] = None
    if settings.runners is None and settings.intra_op_threads is not None and device == "cpu":
        given["runners"] = max(1, machine.cores // settings.intra_op_threads)
    return replace(plan, **given)


def _refuse_impossible(plan: Plan, settings: Settings, bundle: Bundle, machine: Machine, device: str) -> None:
    longest, threads = bundle.encoder.max_tokens, plan.runners * plan.intra_op_threads
    for name, tokens in (("max-batch-tokens", plan.max_batch_tokens), ("queue-tokens", settings.queue_tokens)):
        if tokens < longest:
            raise PlanError(f"--{name} {tokens} is less than one ticket of {longest} tokens; give at least {longest}")
    if device == "cpu" and threads > machine.cores:
        raise PlanError(
            f"--runners {plan.runners} with --intra-op-threads {plan.intra_op_threads} make {threads} threads, "
            f"this process may use {machine.cores} cores; lower one of them"
        )
