"""Memory that floods take, and memory that is not there."""

import contextlib
import resource
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import psutil
from onnx import numpy_helper

from models.bundle.bundle import point_current
from service.http.room import FREE_BYTES, GRACE_SECONDS, LIMIT_BYTES
from tests.benchmarks.memory import resident_megabytes
from tests.faults.flood import GROWTH_MEGABYTES, growth, growth_of_stock
from tests.faults.http_cases import head
from tests.support.keys import Known, file_of
from tests.support.process import post_head, serving
from tests.support.reloading import ask, reload, version_of
from tests.support.tiny import rewritten
from tests.support.waiting import wait_until

LARGE_FLOATS = 50_000_000
"""Of a graph: 200 MB, and twice that while it is loaded."""
SENDERS = 64
HALF_BYTES = 3_999_000
FITTING = LIMIT_BYTES // (HALF_BYTES - FREE_BYTES)
SPARE_BYTES = 150_000_000
PAUSE_SECONDS = 0.2


def test_memory_returns_after_floods_of_the_largest_bodies(tiny_bundle_path: Path) -> None:
    """Twice hundreds of megabytes in refused batches and endless chunks: within 20 MB of what it was."""
    first, later, ends = growth(tiny_bundle_path, rounds=1)
    assert max(first, later) <= GROWTH_MEGABYTES
    assert b"400" in ends


def test_a_stock_application_keeps_what_came() -> None:
    """One client's 192 MB of chunks, most of it for good."""
    assert growth_of_stock() > 5 * GROWTH_MEGABYTES


def test_bodies_on_their_way_have_a_bound_together(tiny_bundle_path: Path) -> None:
    """Beyond it a large body is refused and the connection closed; a ticket in one piece is let in all the same."""
    with serving(tiny_bundle_path) as service, contextlib.ExitStack() as stack:
        before = resident_megabytes(service.process.pid)
        senders = [stack.enter_context(half_sent(service.port)) for _ in range(SENDERS)]
        wait_until(lambda: len(select.select(senders, [], [], 0)[0]) >= SENDERS - FITTING)
        answers = [each.recv(4096).lower() for each in select.select(senders, [], [], 0)[0]]
        assert ask(service)["outcome"]
        assert len(answers) == SENDERS - FITTING
        assert all(b"too_many_bodies" in answer and b"connection: close" in answer for answer in answers)
        # Some twice the bound, with what each connection reads ahead; all of them would be four times.
        assert resident_megabytes(service.process.pid) - before < 3 * LIMIT_BYTES / 1e6


def test_bodies_that_do_not_come_keep_nobody_out(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """One that does come makes them leave: another key's at once, their own when they have had their time."""
    slow, other = Known("slow"), Known("other")
    keys = tmp_path / "keys.toml"
    keys.write_text(file_of(slow, other))
    with serving(tiny_bundle_path, "--keys-file", str(keys)) as service, contextlib.ExitStack() as stack:
        senders = [stack.enter_context(half_sent(service.port, slow.header_line)) for _ in range(FITTING)]
        assert sent_in_pieces(service.port, other.header_line).startswith(b"HTTP/1.1 200 ")
        assert len(select.select(senders, [], [], 5)[0]) == 1
        stack.enter_context(half_sent(service.port, slow.header_line))
        time.sleep(GRACE_SECONDS)
        assert sent_in_pieces(service.port, slow.header_line).startswith(b"HTTP/1.1 200 ")


def sent_in_pieces(port: int, *headers: str) -> bytes:
    """The answer to a mail of some size, half of which comes later."""
    mail = b"Subject: Order\r\n\r\n" + b"Where is my order?\r\n" * 47_000
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sender:
        sender.sendall(post_head("/v1/route", len(mail), "Connection: close", *headers, kind="message/rfc822"))
        sender.sendall(mail[: len(mail) // 2])
        time.sleep(PAUSE_SECONDS)
        sender.sendall(mail[len(mail) // 2 :])
        return b"".join(iter(lambda: sender.recv(65536), b""))


@contextlib.contextmanager
def half_sent(port: int, *headers: str) -> Iterator[socket.socket]:
    """A batch of which nearly all has been sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sender:
        with contextlib.suppress(ConnectionError):
            sender.sendall(head("Content-Length: 4000000", *headers, request="POST /v1/route/batch HTTP/1.1"))
            sender.sendall(b" " * HALF_BYTES)
        yield sender


def test_a_model_too_large_for_the_memory_leaves_the_former_one(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """The reload is refused in one line, the service goes on, and a model that fits is taken afterwards."""
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
    """A sound bundle whose graph carries weights that nothing uses."""
    graph = onnx.load(str(bundle / "model.onnx"))
    graph.graph.initializer.append(numpy_helper.from_array(np.zeros(LARGE_FLOATS, dtype=np.float32), "ballast"))
    return rewritten(bundle, store, files={"model.onnx": graph.SerializeToString()})
