"""Memory after floods, and when there is too little of it."""

import contextlib
import resource
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import psutil
from onnx import numpy_helper

from models.bundle.bundle import point_current
from service.http.body import IN_FLIGHT_BYTES
from tests.benchmarks.memory import resident_megabytes
from tests.faults.flood import GROWTH_MEGABYTES, growth, growth_of_stock
from tests.faults.http.cases import head
from tests.support.process import serving
from tests.support.reloading import ask, reload, version_of
from tests.support.tiny import rewritten
from tests.support.waiting import wait_until

LARGE_FLOATS = 50_000_000
"""Size of a graph: 200 MB, and twice that while it is loaded."""
SENDERS = 64
HALF_BYTES = 3_999_000
FITTING = IN_FLIGHT_BYTES // HALF_BYTES
SPARE_BYTES = 150_000_000


def test_memory_returns_after_floods_of_the_largest_bodies(tiny_bundle_path: Path) -> None:
    """Hundreds of megabytes in refused batches and endless chunks, twice: memory returns to within 20 MB."""
    first, later, ends = growth(tiny_bundle_path, rounds=1)
    assert max(first, later) <= GROWTH_MEGABYTES
    assert b"400" in ends


def test_a_stock_application_keeps_memory_after_a_flood() -> None:
    """It keeps most of one client's 192 MB of chunks."""
    assert growth_of_stock() > 5 * GROWTH_MEGABYTES


def test_half_sent_bodies_together_stay_below_the_cap(tiny_bundle_path: Path) -> None:
    """Large bodies beyond the cap are refused, and a ticket is still decided."""
    with serving(tiny_bundle_path) as service, contextlib.ExitStack() as stack:
        before = resident_megabytes(service.process.pid)
        senders = [stack.enter_context(half_sent(service.port)) for _ in range(SENDERS)]
        wait_until(lambda: len(select.select(senders, [], [], 0)[0]) >= SENDERS - FITTING)
        responses = [each.recv(4096).lower() for each in select.select(senders, [], [], 0)[0]]
        assert all(b"too_many_bodies" in response for response in responses)
        assert ask(service)["outcome"]
        assert resident_megabytes(service.process.pid) - before < IN_FLIGHT_BYTES / 1e6 + 60


@contextlib.contextmanager
def half_sent(port: int, *headers: str) -> Iterator[socket.socket]:
    """A batch sent except for its end."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sender:
        with contextlib.suppress(ConnectionError):
            sender.sendall(head("Content-Length: 4000000", *headers, request="POST /v1/route/batch HTTP/1.1"))
            sender.sendall(b" " * HALF_BYTES)
        yield sender


def test_a_model_too_large_for_memory_leaves_the_previous_one_serving(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """The reload is refused in one line, the service continues, and a model that fits is loaded afterwards."""
    former = rewritten(tiny_bundle_path, tmp_path, provenance={"made_by": "former"})
    fitting = rewritten(tiny_bundle_path, tmp_path, provenance={"made_by": "fitting"})
    large = with_ballast(tiny_bundle_path, tmp_path)
    point_current(tmp_path, former.name)
    with serving(tmp_path / "current") as service:
        most = psutil.Process(service.process.pid).memory_info().vms + SPARE_BYTES
        resource.prlimit(service.process.pid, resource.RLIMIT_AS, (most, most))
        answer = reload(service, large.name)
        assert (answer.status_code, answer.json()["code"]) == (409, "reload_refused")
        assert "not enough memory" in answer.json()["detail"]
        assert version_of(ask(service)) == former.name
        assert reload(service, fitting.name).status_code == 200
        assert version_of(ask(service)) == fitting.name


def with_ballast(bundle: Path, store: Path) -> Path:
    """A sound bundle with unused weights in its graph."""
    graph = onnx.load(str(bundle / "model.onnx"))
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(LARGE_FLOATS, dtype=np.float32), "ballast"))
    return rewritten(bundle, store, files={"model.onnx": graph.SerializeToString()})
