"""How a bundle runs on a machine: which graph, how many sessions and threads, how large a batch.

A plan comes from the settings, from what `tune.py` measured here, or from rules that hold on most machines, in this
order. `engine.py` builds what it says. Tuned plans lie in the state folder, one file per machine, bundle and device.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from models.bundle import Bundle
from models.errors import TicketRouterError
from models.manifest import Frozen, Variant
from service.inference.machine import Machine
from service.settings import Settings

Graph = Literal["fused", "raw"]
"""Whether onnxruntime may rewrite the graph into fused operators as it loads it. Neither is faster everywhere."""
Source = Literal["default", "tuned"]
Count = Annotated[int, Field(ge=1)]

FASTEST_FIRST: Mapping[str, tuple[Variant, ...]] = {"cpu": ("int8", "fp32"), "cuda": ("fp16", "fp32")}
"""`auto`: a variant stands in a bundle only when its own gates passed, so the fastest one that suits is right."""
BATCH_TOKENS = {"cpu": 512, "cuda": 16384}
MAX_PADDING = {"cpu": 0.1, "cuda": 0.5}
CUDA_RUNNERS = 2
LONE_THREADS = 4
"""More threads for one ticket of a small model wait for each other longer than they save."""
LONE_TOKENS = 64
"""Untuned: shorter tickets are done on one thread before a second one is awake."""
PLAN_BYTES = 1_000_000


class PlanError(TicketRouterError):
    """The settings ask for a plan that cannot be, or a plan file is of another machine, bundle or release."""


class Plan(Frozen):
    """One way to run one variant.

    `runners` runs go side by side, each on `intra_op_threads`. While nothing else runs, a lone ticket of at least
    `lone_tokens` takes a session of its own with `lone_threads`; None: there is no such session.
    """

    variant: Variant
    graph: Graph
    runners: Count
    intra_op_threads: Count
    lone_threads: Count | None
    lone_tokens: Count
    max_batch_tokens: Count
    max_padding: Annotated[float, Field(ge=0, le=1)]


class Measured(Frozen):
    """A plan and what it reached when it was tuned. Tickets per second, and a lone ticket's milliseconds, median."""

    plan: Plan
    tickets_per_second: Annotated[float, Field(gt=0)]
    lone_milliseconds: Annotated[float, Field(gt=0)]


class PlanFile(Frozen):
    """What a tuning leaves: the best plan of each variant that suits the machine, the fastest first."""

    schema_version: Literal[1]
    machine: str
    processor: str
    cores: Count
    bundle: str
    device: str
    measured_at: str
    plans: Annotated[tuple[Measured, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The plan to run and where it comes from; settings may have changed parts of either."""

    plan: Plan
    source: Source


def kind_of(device: str) -> Literal["cpu", "cuda"]:
    """What a device is to a bundle: TensorRT runs on the same GPUs, from the same graphs."""
    return "cpu" if device == "cpu" else "cuda"


def plan_path(state_dir: Path, machine: Machine, bundle: Bundle, device: str) -> Path:
    return state_dir / "plans" / f"{machine.key}-{bundle.version}-{device}.json"


def choose_plan(settings: Settings, bundle: Bundle, machine: Machine, device: str) -> Chosen:
    """The plan for this bundle on this machine.

    Raises:
        BundleError: the bundle has no such variant.
        PlanError: what the settings ask for cannot be, or the plan file is damaged or of another machine or bundle.
    """
    tuned = _tuned(settings, bundle, machine, device)
    if tuned is None:
        chosen = Chosen(default_plan(settings.variant, bundle, machine, device), "default")
    else:
        chosen = Chosen(tuned, "tuned")
    plan = _with_settings(chosen.plan, settings)
    _refuse_impossible(plan, settings, bundle, machine, device)
    return Chosen(plan, chosen.source)


def default_plan(variant: str, bundle: Bundle, machine: Machine, device: str) -> Plan:
    """What holds on most machines, without any measuring.

    Raises:
        BundleError: the bundle has no such variant.
    """
    kind = kind_of(device)
    on_gpu = kind == "cuda"
    return Plan(
        variant=_variant(variant, bundle, machine, device),
        graph="fused",
        runners=CUDA_RUNNERS if on_gpu else machine.cores,
        intra_op_threads=1,
        lone_threads=None if on_gpu or machine.cores == 1 else min(machine.cores, LONE_THREADS),
        lone_tokens=LONE_TOKENS,
        max_batch_tokens=max(BATCH_TOKENS[kind], bundle.encoder.max_tokens),
        max_padding=MAX_PADDING[kind],
    )


def load_plans(path: Path, bundle: Bundle, machine: Machine, device: str) -> PlanFile:
    """A plan file, checked against where it is to be used.

    Raises:
        PlanError: it is missing, damaged, or was measured elsewhere or with another bundle.
    """
    try:
        with path.open("rb") as file:
            found = PlanFile.model_validate_json(file.read(PLAN_BYTES))
    except OSError as error:
        raise PlanError(f"{path}: cannot be read ({error.strerror}); make one: python -m service tune") from error
    except ValidationError as error:
        raise PlanError(f"{path}: no plan of this release; make it anew: python -m service tune") from error
    for what, measured, here in (
        ("machine", found.machine, machine.key),
        ("bundle", found.bundle, bundle.version),
        ("device", found.device, device),
    ):
        if measured != here:
            raise PlanError(
                f"{path}: measured with {what} {measured!a}, here it is {here}; tune here: python -m service tune"
            )
    return found


def _tuned(settings: Settings, bundle: Bundle, machine: Machine, device: str) -> Plan | None:
    path = settings.plan or plan_path(settings.state_dir, machine, bundle, device)
    if settings.plan is None and not path.is_file():
        return None
    plans = load_plans(path, bundle, machine, device).plans
    if settings.variant == "auto":
        return plans[0].plan
    return next((measured.plan for measured in plans if measured.plan.variant == settings.variant), None)


def _variant(choice: str, bundle: Bundle, machine: Machine, device: str) -> Variant:
    if choice != "auto":
        return bundle.model(choice).variant
    suiting = suiting_variants(bundle, machine, device)
    return suiting[0] if suiting else bundle.manifest.models[0].variant


def suiting_variants(bundle: Bundle, machine: Machine, device: str) -> list[Variant]:
    """The bundle's variants made for this device and processor, probably fastest first."""
    kind = kind_of(device)
    suiting = {entry.variant for entry in bundle.manifest.models if entry.suits(kind, machine.instructions)}
    return [variant for variant in FASTEST_FIRST[kind] if variant in suiting]


def _with_settings(plan: Plan, settings: Settings) -> Plan:
    given = {
        name: value
        for name in ("runners", "intra_op_threads", "max_batch_tokens")
        if (value := getattr(settings, name)) is not None
    }
    if settings.intra_op_threads is not None or settings.runners is not None:
        # Who sets threads by hand wants these and no other session beside them.
        given["lone_threads"] = None
    return plan.model_copy(update=given)


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
