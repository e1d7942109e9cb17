"""The servers that take part: from the command line to the workloads, their tickets and their servers."""

import random
from dataclasses import dataclass
from pathlib import Path

from models.bundle.bundle import Bundle, open_bundle
from models.errors import TicketRouterError
from tests.benchmarks.serving.environments import interpreter
from tests.benchmarks.serving.rounds import OURS, OURS_SHIPPED, OURS_STUDENT, Entrant, Workload
from tests.benchmarks.serving.servers import Server, naive, ours
from tests.benchmarks.serving.tickets import long_texts, short_texts, texts_of, workload

WORKLOADS = ("short", "long", "mix")
BASE = "fp32"
SHIPPED = "int8"
"""The variant that `auto` selects on a CPU, if training allowed it."""

Peers = list[tuple[Server, Path]]
"""Each peer, with its interpreter."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The command line's choice. Paths are by workload."""

    bundles: dict[str, Path]
    students: dict[str, Path]
    files: dict[str, Path]
    names: tuple[str, ...]
    count: int
    flags: tuple[str, ...]
    python: Path


def by_workload(flag: str, pairs: list[str]) -> dict[str, Path]:
    """`WORKLOAD=PATH` options. A path alone applies to every workload without one; the mix takes the long workload's.

    Raises:
        TicketRouterError: an unknown workload.
    """
    named = {name: Path(path) for name, mark, path in (pair.partition("=") for pair in pairs) if mark}
    if strange := sorted(set(named) - set(WORKLOADS)):
        raise TicketRouterError(f"{flag}: no workload is called {strange[0]!r}; there are {', '.join(WORKLOADS)}")
    found = {name: Path(pair) for pair in pairs if "=" not in pair for name in WORKLOADS} | named
    return {"mix": found["long"], **found} if "long" in found else found


def peers_of(names: str, work: Path, known: dict[str, Server]) -> tuple[Peers, dict[str, str]]:
    """The requested peers, and for each missing one the reason.

    Raises:
        TicketRouterError: an unknown peer.
    """
    asked = {"all": list(known), "none": []}.get(names, names.split(","))
    if strange := sorted(set(asked) - set(known)):
        raise TicketRouterError(f"--peers: no peer is called {strange[0]!r}; there are {', '.join(known)}, all, none")
    ready, failed = [], {}
    for name in asked:
        print(f"environment of {known[name].name}", flush=True)
        try:
            ready.append((known[name], interpreter(name, work)))
        except TicketRouterError as error:
            failed[known[name].name] = str(error)
    return ready, failed


def workloads_of(choice: Choice, peers: Peers) -> tuple[Workload, ...]:
    """The requested workloads in order.

    Raises:
        TicketRouterError: one has no bundle, or a bundle or a file cannot be read.
    """
    asked = [name for name in WORKLOADS if name in choice.names]
    if missing := [name for name in asked if name not in choice.bundles]:
        raise TicketRouterError(f"--bundle: none for {missing[0]}; give --bundle {missing[0]}=FOLDER, or one for all")
    texts = {"short": _texts(choice, "short"), "long": _texts(choice, "long")}
    texts["mix"] = _mixed(texts["short"], texts["long"], choice.count)
    return tuple(_workload(name, texts[name], choice, peers) for name in asked)


def _texts(choice: Choice, name: str) -> list[str]:
    if name in choice.files:
        return texts_of(choice.files[name])
    return short_texts() if name == "short" else long_texts()


def _mixed(short: list[str], long: list[str], count: int) -> list[str]:
    rng = random.Random(0)
    half = min(count // 2, len(short), len(long))
    return [*rng.sample(short, half), *rng.sample(long, half)]


def _workload(name: str, texts: list[str], choice: Choice, peers: Peers) -> Workload:
    bundle = open_bundle(choice.bundles[name])
    entrants = [*_our_servers(name, bundle, choice), *(Entrant(peer, bundle.path, python) for peer, python in peers)]
    variants = (BASE, SHIPPED) if _ships(bundle) else (BASE,)
    return Workload(name, workload(texts, bundle, choice.count), bundle, tuple(entrants), variants)


def _our_servers(name: str, bundle: Bundle, choice: Choice) -> list[Entrant]:
    """Ours, as the fp32 graph first; then the naive one, from the same environment."""
    base = ours(OURS, "--variant", BASE, *choice.flags, settings="`--variant fp32`")
    found = [Entrant(base, bundle.path, choice.python)]
    if _ships(bundle):
        shipped = ours(OURS_SHIPPED, *choice.flags, settings="`--variant auto`")
        found.append(Entrant(shipped, bundle.path, choice.python))
    if name in choice.students:
        student = ours(OURS_STUDENT, *choice.flags, settings="a distilled bundle, `--variant auto`")
        found.append(Entrant(student, open_bundle(choice.students[name]).path, choice.python))
    return [*found, Entrant(naive(), bundle.path, choice.python)]


def _ships(bundle: Bundle) -> bool:
    return any(entry.variant == SHIPPED for entry in bundle.manifest.models)
