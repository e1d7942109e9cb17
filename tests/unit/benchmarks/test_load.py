"""`tests/benchmarks/serving`: requests, schedules, fair orders, and the client against a real HTTP server."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.serving.ceiling import batches
from tests.benchmarks.serving.connection import NO_ANSWER, Target, post
from tests.benchmarks.serving.load import Window, arrivals, closed_loop, open_loop
from tests.benchmarks.serving.surroundings import without_folders
from tests.benchmarks.serving.tickets import fair_order

SHORT = Window(0.1, 0.3, lambda: 0.0)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(asked.get("seconds", 0))
        if asked.get("hang_up"):
            self.close_connection = True
            return
        self.send_response(asked.get("status", 200))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@contextmanager
def _server() -> Iterator[Target]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Target(server.server_port)
        finally:
            server.shutdown()
            thread.join()


def test_a_request_declares_its_length_in_bytes() -> None:
    """Not in characters."""
    head, _, body = post("/v1/route", {"text": "Grüße"}).partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"POST /v1/route HTTP/1.1"
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"text": "Grüße"}


@given(st.floats(1, 500), st.integers(0, 100))
def test_arrivals_are_ascending_within_the_window(rate: float, seed: int) -> None:
    """The same seed gives the same ones, so that every server gets the same load."""
    moments = arrivals(rate, 2.0, random.Random(seed))
    assert moments == sorted(moments)
    assert all(0 <= moment < 2.0 for moment in moments)
    assert moments == arrivals(rate, 2.0, random.Random(seed))


def test_arrivals_come_at_the_rate() -> None:
    """10,000 expected: five standard deviations are 500."""
    assert len(arrivals(1000, 10, random.Random(1))) == pytest.approx(10_000, abs=500)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=400), st.integers(2, 50))
def test_a_fair_order_holds_every_position_once(lengths: list[int], block: int) -> None:
    """Nothing is lost or duplicated, for any sizes."""
    order = fair_order(lengths, random.Random(0), block)
    assert sorted(order) == list(range(len(lengths)))


def test_every_block_of_a_fair_order_is_a_fair_sample() -> None:
    """Of 640 lengths from 1 to 640, each block of 64 has nearly the mean of all, and is not sorted."""
    order = fair_order(range(1, 641), random.Random(0), 64)
    for start in range(0, 640, 64):
        block = [position + 1 for position in order[start : start + 64]]
        assert sum(block) / 64 == pytest.approx(320.5, abs=5)
        assert block != sorted(block)


def test_batches_of_the_bare_loop_have_similar_lengths() -> None:
    """Longest first, each padded to its own longest."""
    feeds = batches([[1], [1, 1, 1], [1, 1], [1, 1, 1, 1]], 2, pad_id=9)
    assert [feed["input_ids"].tolist() for feed in feeds] == [[[1, 1, 1, 1], [1, 1, 1, 9]], [[1, 1], [1, 9]]]
    assert feeds[0]["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]


def test_a_closed_loop_has_one_outstanding_request_per_caller() -> None:
    """Four callers of a server that takes 20 ms are answered at most 200 times a second, and each waits 20 ms."""
    with _server() as target:
        load = closed_loop(target, [post("/", {"seconds": 0.02})], 4, SHORT)
    assert 4 <= len(load.finished()) <= 4 * (load.seconds / 0.02 + 1)
    assert all(answer.status == 200 and answer.finished - answer.due >= 0.02 for answer in load.answers)


def test_a_closed_loop_waits_for_answers_to_every_caller() -> None:
    """A window shorter than an answer would show nothing: it continues until each caller has two."""
    with _server() as target:
        load = closed_loop(target, [post("/", {"seconds": 0.2})], 2, Window(0.0, 0.1, lambda: 0.0))
    assert len(load.finished()) >= 4
    assert load.seconds >= 0.4 * 0.9


def test_refusals_are_recorded() -> None:
    """A 503 is an answer with its status, and its caller waits before the next request."""
    with _server() as target:
        load = closed_loop(target, [post("/", {"status": 503})], 1, SHORT)
    assert {answer.status for answer in load.answers} == {503}
    assert len(load.answers) < 20


def test_a_lost_connection_counts_as_no_answer_and_is_reopened() -> None:
    """The server closes every other request's connection; the rest are answered."""
    with _server() as target:
        load = closed_loop(target, [post("/", {"hang_up": True}), post("/", {})], 1, SHORT)
    assert {answer.status for answer in load.answers} == {NO_ANSWER, 200}


def test_an_open_loop_counts_from_the_time_a_request_was_due() -> None:
    """All requests are sent on time though the server is slow: none waits for another's answer."""
    with _server() as target:
        load = open_loop(target, [post("/", {"seconds": 0.1})], 100, SHORT)
    scheduled = arrivals(100, 0.4, random.Random(0))
    gaps = [later - earlier for earlier, later in pairwise(sorted(answer.due for answer in load.due()))]
    assert gaps == pytest.approx([later - earlier for earlier, later in pairwise(scheduled)][-len(gaps) :])
    assert all(answer.status == 200 and answer.finished - answer.due >= 0.1 for answer in load.due())


def test_a_report_does_not_name_local_folders() -> None:
    """Folders are removed, names and numbers stay."""
    command = "--bundle short=/home/me/b1/current --peers all --seconds 6.0 --out docs/x.md '--flags=--a 0'"
    assert without_folders(command) == "--bundle short=current --peers all --seconds 6.0 --out x.md '--flags=--a 0'"
