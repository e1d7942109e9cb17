"""How a bundle runs on a machine: which graph, how many sessions and threads, how large a batch.

A plan comes from the settings, from what `tuning` measured here, or from rules that hold on most machines, in this
order. `engine.py` builds what it says. Tuned plans lie in the state folder, one file per machine, bundle and device.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import Field, ValidationError

from models.bundle.bundle import Bundle
from models.bundle.manifest import Frozen, Variant
from models.errors import TicketRouterError
from service.inference.hardware import Machine
from service.settings import Settings

Graph = Literal["fused", "raw"]
"""Whether onnxruntime may rewrite the graph into fused operators as it loads it. Neither is faster everywhere."""
Source = Literal["default", "tuned"]
Count = Annotated[int, Field(ge=1)]

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
"""Untuned, measured on two cores: in int8 a shorter ticket is done on one thread before a second one is awake."""
PLAN_BYTES = 1_000_000
_MISSING = (FileNotFoundError, NotADirectoryError)

_log = structlog.get_logger()


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
    """A plan and what it reached when it was tuned, on the bundle's golden rows.

    Tickets per second under load, median of the measurements; milliseconds of a lone ticket of median length.
    """

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


def choose_plan(
    settings: Settings, bundle: Bundle, machine: Machine, device: str, measured: PlanFile | None = None
) -> Chosen:
    """The plan for this bundle on this machine: what was just `measured`, else the file's, else the default.

    Raises:
        BundleError: the bundle has no such variant.
        PlanError: what the settings ask for cannot be, or the file they name is damaged or of another machine or
            bundle. Such a file in the state folder is a warning: it decides speed, never an answer.
    """
    tuned = _tuned(settings, bundle, machine, device, measured)
    if tuned is None:
        chosen = Chosen(default_plan(settings.variant, bundle, machine, device), "default")
    else:
        chosen = Chosen(tuned, "tuned")
    plan = _with_settings(chosen.plan, settings, machine, device)
    _refuse_impossible(plan, settings, bundle, machine, device)
    return Chosen(plan, chosen.source)


def default_plan(variant: str, bundle: Bundle, machine: Machine, device: str) -> Plan:
    """What holds on most machines, without any measuring.

    Raises:
        BundleError: the bundle has no such variant.
    """
    kind = kind_of(device)
    on_gpu = kind == "cuda"
    taken = variants_to_run(variant, bundle, machine, device)[0]
    return Plan(
        variant=taken,
        graph="fused",
        runners=CUDA_RUNNERS if on_gpu else machine.cores,
        intra_op_threads=1,
        lone_threads=None if on_gpu or machine.cores == 1 else min(machine.cores, LONE_THREADS),
        lone_tokens=LONE_TOKENS[taken],
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


def kept_plans(state_dir: Path, bundle: Bundle, machine: Machine, device: str) -> PlanFile | None:
    """What was tuned here before; None when nothing was, or, with a warning in the log, when it cannot be used."""
    try:
        return load_plans(plan_path(state_dir, machine, bundle, device), bundle, machine, device)
    except PlanError as error:
        if not isinstance(error.__cause__, _MISSING):
            _log.warning("plan not used", cause=str(error))
        return None


def write_plans(path: Path, plans: PlanFile) -> None:
    """Write a plan file, whole or not at all.

    Raises:
        PlanError: there is no writing there.
    """
    _write(path, plans.model_dump_json(indent=1).encode() + b"\n")


def refuse_unwritable(path: Path) -> None:
    """Better before the measuring than after it.

    Raises:
        PlanError: a plan file cannot be written there.
    """
    probe = path.with_name(f".{path.name}.probe")
    try:
        _write(probe, b"\n")
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise PlanError(f"{path}: cannot be written ({error.strerror}); choose another --state-dir") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _tuned(settings: Settings, bundle: Bundle, machine: Machine, device: str, measured: PlanFile | None) -> Plan | None:
    if measured is not None:
        found: PlanFile | None = measured
    elif settings.plan is not None:
        found = load_plans(settings.plan, bundle, machine, device)
    else:
        found = kept_plans(settings.state_dir, bundle, machine, device)
    if found is None:
        return None
    by_variant = {entry.plan.variant: entry.plan for entry in found.plans}
    wanted = variants_to_run(settings.variant, bundle, machine, device)[0]
    if settings.plan is not None and settings.variant != "auto" and wanted not in by_variant:
        raise PlanError(f"{settings.plan}: has no plan for {wanted}; make one: python -m service tune")
    # `auto` trusts the order only where the variant it would take untuned was measured too.
    return found.plans[0].plan if settings.variant == "auto" and wanted in by_variant else by_variant.get(wanted)


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
    given = {
        name: value
        for name in ("runners", "intra_op_threads", "max_batch_tokens")
        if (value := getattr(settings, name)) is not None
    }
    if settings.intra_op_threads is not None or settings.runners is not None:
        # Who sets threads by hand wants these and no other session beside them.
        given["lone_threads"] = None
    if settings.runners is None and settings.intra_op_threads is not None and device == "cpu":
        given["runners"] = max(1, machine.cores // settings.intra_op_threads)
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
