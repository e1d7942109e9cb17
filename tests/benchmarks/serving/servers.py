"""Every server of the comparison: how it is started, asked, and stopped. One runs at a time, started afresh each time.

Ours and the naive one run in this environment, the others in their own (`environments.py`).
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from models.errors import TicketRouterError
from tests.benchmarks.serving.connection import Target, post
from tests.benchmarks.serving.peers.classifier import BUNDLE, THREADS, WORKERS
from tests.benchmarks.serving.processes import Family
from tests.support.process import ROOT

PEERS = "tests.benchmarks.serving.peers"
START_SECONDS = 120.0
STOP_SECONDS = 10.0
_QUIET = {
    "PYTHONPATH": str(ROOT),
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "RAY_USAGE_STATS_ENABLED": "0",
    "INFINITY_ANONYMOUS_USAGE_STATS": "0",
}
"""No server of a benchmark tells anybody that it runs."""


class NotStarted(TicketRouterError):
    """A server did not answer in time, or ended."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server.

    Args:
        name: as the report names it.
        command: arguments after the interpreter, from bundle and port.
        path: where it takes tickets.
        document: the request's JSON for one text.
        workers: processes that hold a model, where the framework has such.
        threads: of one model run; workers x threads are the machine's cores, or 1 where runs stand side by side.
        requirement: what its own environment is made from; "" where it needs none.
        settings: how it is set up, in words, for the report.
        cut_to_tokens: whether it needs texts that are no longer than the model reads.
    """

    name: str
    command: Callable[[Path, int], list[str]]
    path: str
    document: Callable[[str], Mapping[str, Any]]
    workers: int = 1
    threads: int = 1
    requirement: str = ""
    settings: str = ""
    cut_to_tokens: bool = False

    def requests(self, texts: tuple[str, ...]) -> list[bytes]:
        return [post(self.path, self.document(text)) for text in texts]


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    target: Target
    family: Family
    start_seconds: float


def ours(name: str, *flags: str, settings: str = "") -> Server:
    """Our service with these flags."""

    def command(bundle: Path, port: int) -> list[str]:
        ports = ["--port", str(port), "--management-port", str(free_port())]
        flags_or_off = flags if "--records" in flags else (*flags, "--records", "off")
        return ["-m", "service", "--bundle", str(bundle), *ports, *flags_or_off]

    return Server(name, command, "/v1/route", lambda text: {"subject": "", "body": text}, settings=settings)


def peer(name: str, module: str, *, path: str = "/classify", **options: Any) -> Server:
    """A peer whose file is run with the port as its argument."""
    document = options.pop("document", lambda text: {"text": text})
    return Server(name, lambda _bundle, port: ["-m", f"{PEERS}.{module}", str(port)], path, document, **options)


def all_peers(cores: int, workers: int = 1) -> dict[str, Server]:
    """Every peer by the name it is asked for with: `workers` processes that share the cores among their threads."""
    shared = {"workers": workers, "threads": max(1, cores // workers)}
    v2 = {"name": "text", "shape": [1], "datatype": "BYTES"}
    return {
        "litserve": peer("LitServe", "lit", requirement="litserve", settings="batches of 16, 2 ms wait", **shared),
        "bentoml": peer(
            "BentoML",
            "bento",
            requirement="bentoml",
            document=lambda text: {"texts": [text]},
            settings="adaptive batches of 32",
            **shared,
        ),
        "mlserver": peer(
            "MLServer",
            "mls",
            path="/v2/models/router/infer",
            requirement="mlserver",
            document=lambda text: {"inputs": [{**v2, "data": [text]}]},
            settings="batches of 32, 5 ms wait",
            **shared,
        ),
        "infinity": peer(
            "Infinity",
            "infinity",
            threads=cores,
            requirement="infinity",
            document=lambda text: {"input": [text], "model": "router"},
            settings="optimum engine; texts cut to what the model reads, for it hangs beyond 512 tokens",
            cut_to_tokens=True,
        ),
        "ray": peer("Ray Serve", "rayserve", requirement="ray", settings="batches of 16, 2 ms wait", **shared),
    }


def naive() -> Server:
    return peer("naive FastAPI", "naive", settings="onnxruntime inline in a `def` endpoint, thread pool")


@contextlib.contextmanager
def running(server: Server, bundle: Path, python: Path, log: Path) -> Iterator[Running]:
    """A started server that has answered once; ended afterwards, with all its processes. `log` takes its output.

    Raises:
        NotStarted: it ended, or did not answer with 200 in START_SECONDS.
    """
    port = free_port()
    settings = {BUNDLE: str(bundle.resolve()), THREADS: str(server.threads), WORKERS: str(server.workers)}
    environment = {**os.environ, **_QUIET, **settings}
    begin = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), *server.command(bundle, port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for(server, process, port, log)
            yield Running(Target(port), Family(process.pid), time.perf_counter() - begin)
        finally:
            _end(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(server: Server, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    request = post(server.path, server.document("Is anybody there?"))
    give_up = time.perf_counter() + START_SECONDS
    while time.perf_counter() < give_up:
        if process.poll() is not None:
            raise NotStarted(f"{server.name} ended with status {process.returncode}; see {log}")
        if _status(port, request) == 200:
            return
        time.sleep(0.1)
    raise NotStarted(f"{server.name} did not answer in {START_SECONDS:.0f} s; see {log}")


def _status(port: int, request: bytes) -> int:
    """The status of one request on a connection of its own; 0 when there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request)
            return int([*connection.recv(65536).split(b" ", 2), b"0"][1])
    except (OSError, ValueError):
        return 0


def _end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, then SIGKILL to whatever of its family is left."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for left in (member for member in family if member.is_running()):
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()
    process.kill()
    process.wait()
