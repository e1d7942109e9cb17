"""The context of a report: the machine, the versions, the plan, and the set-up of each server."""

import platform
import re
import shlex
from collections.abc import Sequence
from importlib.metadata import version

from service.inference.hardware import this_machine
from tests.benchmarks.serving.entrants import Peers
from tests.benchmarks.serving.environments import pins
from tests.benchmarks.serving.records import About
from tests.benchmarks.serving.rounds import Plan
from tests.benchmarks.serving.servers import Server

WORTH_NAMING = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp", "sve")
PACKAGES = ("onnxruntime", "tokenizers", "numpy", "fastapi", "uvicorn", "uvloop", "httptools")


def about(plan: Plan, arguments: Sequence[str], peers: Peers) -> About:
    machine = this_machine()
    own = {package: version(package) for package in PACKAGES}
    frameworks = {peer.name: pins(peer.requirement)[0].partition("==")[2] for peer, _ in peers}
    servers = [entrant.server for workload in plan.workloads for entrant in workload.entrants]
    return About(
        processor=machine.processor,
        cores=machine.cores,
        instructions=[name for name in WORTH_NAMING if name in machine.instructions],
        versions={"Python": platform.python_version(), **own, **frameworks},
        command=f"python -m tests.benchmarks.serving {without_folders(shlex.join(arguments))}",
        rounds=plan.rounds,
        seconds=plan.seconds,
        workloads={
            workload.name: f"{workload.tickets.describe()}; bundle {workload.bundle.version}"
            for workload in plan.workloads
        },
        servers={server.name: _set_up(server) for server in servers},
    )


def _set_up(server: Server) -> str:
    if not server.requirement:
        return server.settings
    return f"{server.settings}; {server.workers} process(es) with a model, {server.threads} thread(s) a run"


def without_folders(command: str) -> str:
    """File names only, since a report should not publish local folders."""
    return re.sub(r"(?<![\w.])/?(?:[\w.~-]+/)+(?=[\w.-])", "", command)
