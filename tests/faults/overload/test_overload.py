"""Overload: requests beyond capacity are refused at once, and other clients are not affected."""

import contextlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.benchmarks.serving.servers import naive, running
from tests.faults.http.test_connections import connect
from tests.faults.http.test_http import is_healthy
from tests.faults.overload.cases import WORDS, Burst, bursts, faults_of
from tests.support.keys import Known, file_of
from tests.support.process import Service, post_head, serving
from tests.support.waiting import wait_until

QUEUE = ("--queue-tokens", "1024", "--runners", "1", "--max-batch-tokens", "64", "--cache-entries", "0")
DEEP_QUEUE = (*QUEUE, "--queue-tokens", "65536", "--queue-seconds", "60")
LEAVERS, TICKETS = 60, 16
OURS = bursts(lambda text: {"body": text})
FAIL_ON_NAIVE = 5
"""Of 6: a FastAPI application that calls the model in its endpoint accepts everything and ignores deadlines."""
PROBES = ("/livez", "/readyz", "/metrics")
PROBE_SECONDS = 5.0
"""The liveness probe's timeout in the manifests: a slower service is restarted. It is no measure of speed."""
FLOODERS = 40
NOISY, POLITE = Known("noisy"), Known("polite")


@pytest.fixture(scope="module")
def small(tiny_bundle_path: Path) -> Iterator[Service]:
    """A service with a short queue. Shared: tests leave it idle."""
    with serving(tiny_bundle_path, *QUEUE) as running_service:
        yield running_service


@pytest.mark.parametrize("burst", OURS, ids=lambda burst: burst.name)
def test_each_request_of_a_burst_is_answered_or_refused(small: Service, burst: Burst) -> None:
    """Each of hundreds of requests gets its response or a 429 with Retry-After; then the service answers as before."""
    assert faults_of(small.port, burst) == []
    assert is_healthy(small)
    assert small.counts("^ticket_router_queue_tokens ") == 0


def test_a_naive_application_fails_overload_cases(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """FastAPI around the same model refuses nothing and knows no deadline."""
    with running(naive(), tiny_bundle_path, Path(sys.executable), tmp_path / "log") as server:
        theirs = bursts(lambda text: {"text": text}, "POST /classify HTTP/1.1")
        failed = [burst.name for burst in theirs if faults_of(server.target.port, burst)]
    assert len(failed) >= FAIL_ON_NAIVE, failed


def test_probes_and_metrics_are_answered_during_a_flood(small: Service) -> None:
    """They are answered within the kubelet's timeout, and report ready: overload is no reason to take a pod out of
    service."""
    with _flood(small, FLOODERS):
        wait_until(lambda: small.counts('rejected_total{reason="overloaded"}') > 0)
        answers = [small.management(path, PROBE_SECONDS).status_code for path in PROBES * 3]
    assert answers == [200] * 9


def test_tickets_of_disconnected_clients_are_not_run(tiny_bundle_path: Path) -> None:
    """Most of hundreds of abandoned tickets are never run, none stays in the queue, and the next ticket is answered."""
    body = json.dumps({"tickets": [{"body": WORDS * 20}] * TICKETS}).encode()
    request = post_head("/v1/route/batch", len(body)) + body
    with serving(tiny_bundle_path, *DEEP_QUEUE) as service:
        with contextlib.ExitStack() as leaving:
            for _ in range(LEAVERS):
                leaving.enter_context(connect(service.port, request))
            wait_until(lambda: _waiting_and_run(service)[0] > LEAVERS * TICKETS / 4)
            waiting, run = _waiting_and_run(service)
        wait_until(lambda: _waiting_and_run(service)[0] == 0)
        assert _waiting_and_run(service)[1] - run < waiting / 2
        assert is_healthy(service)


def test_only_the_key_that_exceeds_its_rate_is_throttled(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """While one key sends as fast as it can over forty connections, every ticket of another key is answered."""
    keys = tmp_path / "keys.toml"
    keys.write_text(file_of(NOISY, POLITE))
    with serving(tiny_bundle_path, *QUEUE, "--keys-file", str(keys)) as service:
        with _flood(service, FLOODERS, NOISY) as codes, service.client(headers=POLITE.header) as client:
            wait_until(lambda: codes[429] > 0)
            polite = [client.post("/v1/route", json={"body": f"hello {number}"}).status_code for number in range(60)]
        assert polite == [200] * 60
        assert codes.keys() == {200, 429}


def _waiting_and_run(service: Service) -> tuple[float, float]:
    """Tickets in the queue, and tickets that the model has run, at one moment."""
    samples = service.samples()
    return samples["ticket_router_queue_depth"], samples["ticket_router_batch_size_sum"]


class _flood:
    """Callers that send their next request after each response; counts the statuses."""

    def __init__(self, service: Service, callers: int, known: Known | None = None) -> None:
        self._service = service
        self._headers = known.header if known else {}
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(callers)
        self._callers = callers
        self._codes: Counter[int] = Counter()

    def __enter__(self) -> Counter[int]:
        for _ in range(self._callers):
            self._pool.submit(self._ask)
        return self._codes

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._pool.shutdown()

    def _ask(self) -> None:
        with self._service.client(headers=self._headers) as client:
            while not self._over.is_set():
                tickets = [{"body": f"{time.monotonic_ns()} " + "some words to read " * 20}] * 16
                answer = client.post("/v1/route/batch", json={"tickets": tickets})
                self._codes[answer.status_code] += 1
