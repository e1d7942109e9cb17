"""What must hold before a bundle is put beside the serving one, and again before it is loaded."""

from pathlib import Path

from models.bundle.bundle import Bundle, Graph, open_bundle
from models.errors import TicketRouterError
from service.errors import ChallengerRefused
from service.inference.cgroup import memory_available_bytes
from service.inference.engine import Engine
from service.inference.hardware import this_machine
from service.inference.onnx_session import PROVIDERS
from service.inference.plan import choose_plan
from service.lifecycle import ChallengerRole
from service.settings import Settings

PROCESS_BYTES = 120_000_000
"""Of the shadow's process, without the model: the interpreter with onnxruntime."""


def check(settings: Settings, champion: Engine, folder: Path, role: ChallengerRole) -> Bundle:
    """Open and verify the bundle; takes seconds, so call it in a thread.

    Raises:
        ChallengerRefused: it is damaged, not signed as the settings require, cannot run here, is the serving one, has
            other fields or labels, or there is not enough memory.
    """
    try:
        bundle = open_bundle(folder, settings.bundle_key)
        plan = choose_plan(settings, bundle, this_machine(), _device(champion))
    except TicketRouterError as error:
        raise ChallengerRefused(str(error)) from error
    if bundle.version != folder.name:
        raise ChallengerRefused(f"{folder}: holds bundle {bundle.version}; rename the folder")
    check_labels(champion, bundle)
    size = bundle.manifest.files[plan.graph.entry.file].size
    sessions = 2 if role == "canary" and plan.lone_threads else 1
    needed = size * (1 + sessions) + (PROCESS_BYTES if role == "shadow" else 0)
    available = memory_available_bytes()
    if available is not None and needed > available:
        raise ChallengerRefused(
            f"bundle {bundle.version} needs some {needed >> 20} MB more memory, and {available >> 20} MB are free"
        )
    return bundle


def check_labels(champion: Engine, bundle: Bundle) -> None:
    """
    Raises:
        ChallengerRefused: it is the serving bundle, or has other fields or labels.
    """
    if bundle.version == champion.model.version:
        raise ChallengerRefused(f"bundle {bundle.version} is the one that serves")
    ours, theirs = _labels(champion.graph), _labels(bundle.graphs[0])
    if ours.keys() != theirs.keys():
        raise ChallengerRefused(
            f"bundle {bundle.version} has other fields than the serving one: {_named(theirs, ours)}"
        )
    for field, labels in ours.items():
        if labels != theirs[field]:
            different = _named(theirs[field], labels)
            raise ChallengerRefused(f"bundle {bundle.version} has other labels in {field}: {different}")


def _device(champion: Engine) -> str:
    return next(name for name, provider in PROVIDERS.items() if provider == champion.provider)


def _labels(graph: Graph) -> dict[str, frozenset[str]]:
    return {scoring.field.name: frozenset(scoring.field.labels) for scoring in graph.scorings}


def _named(
    theirs: "frozenset[str] | dict[str, frozenset[str]]", ours: "frozenset[str] | dict[str, frozenset[str]]"
) -> str:
    added, missing = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
    parts = [f"adds {', '.join(added[:3])}"] if added else []
    parts += [f"lacks {', '.join(missing[:3])}"] if missing else []
    return "; ".join(parts)
