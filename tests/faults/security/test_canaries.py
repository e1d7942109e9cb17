"""No content, address or key in logs, metrics, spans, errors or files, for any request and any failure."""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.security.canaries import (
    KEYS,
    OPS,
    ROUTER,
    Sent,
    answer,
    as_json,
    canary,
    leaks,
    management_requests,
    post,
    public_requests,
    status_of,
    ticket,
)
from tests.faults.servers.stock_keys import stock_with_keys
from tests.support import spoiled
from tests.support.collector import Collector, collecting
from tests.support.keys import file_of
from tests.support.process import Service, serving
from tests.support.waiting import wait_until

LOGGED_BY_STOCK, ANSWERED_BY_STOCK = 6, 25
"""Of 7 and 30: lower bounds, since a next release may fix some."""
LONG = canary("body") + " word" * 400
"""More tokens than the altered model has positions for, so that its run fails."""
WANTED = {"event", "level", "time"}


@dataclass
class ObservedService:
    """A service with keys, and all its output."""

    service: Service
    state: Path
    answers: list[bytes]

    def send(self, requests: Sequence[Sent], port: int) -> list[str]:
        """Requests with a status that the table does not allow."""
        wrong = []
        for sent in requests:
            received = answer(port, sent.raw)
            self.answers.append(received)
            if status_of(received) not in sent.allowed:
                wrong.append(f"{sent.name}: {status_of(received)}")
        return wrong

    def leaked(self) -> dict[str, set[str]]:
        """The places with a canary; the running service's pages are read too."""
        pages = (self._page(path) for path in ("/metrics", "/admin/status", "/openapi.json", "/docs", "/readyz"))
        files = (bytes(path) + path.read_bytes() for path in self.state.rglob("*") if path.is_file())
        # SQLite's columns follow each other without a sign: a ticket's id ends where it does.
        files = (content.replace(canary("id").encode(), canary("id").encode() + b" ") for content in files)
        found = {
            "answers": leaks(b"".join(map(_beyond_the_contract, self.answers))),
            "pages": leaks("".join(pages)),
            "files": leaks(b"".join(files)),
        }
        return {place: kinds for place, kinds in found.items() if kinds}

    def _page(self, path: str) -> str:
        given = httpx.get(self.service.management_url + path, headers=OPS.header, timeout=30)
        assert given.status_code in (200, 503)
        return given.text

    def logged(self) -> set[str]:
        """Stop the service and return its log. The reading thread has parsed every line as JSON."""
        self.service.stop()
        assert self.service.process.stderr is not None
        beside = self.service.process.stderr.read()
        wait_until(lambda: any(event["event"] == "drained" for event in self.service.events))
        assert all(event.keys() >= WANTED for event in self.service.events)
        return leaks(json.dumps(self.service.events) + beside)


def _beyond_the_contract(received: bytes) -> bytes:
    """A response without the ticket's id, which a 200 returns."""
    return received.replace(f'"ticket_id":"{canary("id")}"'.encode(), b"") if status_of(received) == 200 else received


@contextmanager
def watched(
    bundle: Path, folder: Path, *flags: str, env: Mapping[str, str] | None = None, module: str = "service"
) -> Iterator[ObservedService]:
    (folder / "keys.toml").write_text(file_of(*KEYS[:-1]))
    (folder / "state").mkdir()
    own = ("--keys-file", str(folder / "keys.toml"), "--state-dir", str(folder / "state"))
    with serving(bundle, *own, *flags, env=env, module=module) as service:
        yield ObservedService(service, folder / "state", [])


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def half_sent(service: Service) -> socket.socket:
    """A ticket without its end."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=20)
    connection.sendall(post("/v1/route", as_json(ticket()), less=9))
    return connection


def leave(service: Service) -> None:
    """Disconnect before the response, and in the middle of a body: 499."""
    half_sent(service).close()
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(post("/v1/route", as_json(ticket(body=canary("body") + " fresh text" * 30))))
    wait_until(lambda: service.counts(r'code="499"') >= 1)


def fail(watched: ObservedService) -> None:
    """A run of the model that fails; then its session is replaced."""
    watched.answers.append(answer(watched.service.port, post("/v1/route", as_json(ticket(body=LONG)))))
    assert status_of(watched.answers[-1]) == 500
    wait_until(lambda: watched.service.management("/readyz").status_code == 200)


def test_no_canary_appears_in_any_output(tiny_bundle_path: Path, tmp_path: Path, collector: Collector) -> None:
    """Every route and kind of error, at debug level, with spans, a failing model, disconnecting clients, and a
    drain. The record of decisions has the ticket ids, by design, and nothing else."""
    bundle = spoiled.too_few_positions(tiny_bundle_path, tmp_path / "store")
    flags, env = ("--log-level", "debug"), collector.env(OTEL_LOG_LEVEL="debug")
    with watched(bundle, tmp_path, *flags, env=env) as service:
        assert service.send(list(public_requests()), service.service.port) == []
        assert service.send(list(management_requests()), service.service.management_port) == []
        leave(service.service)
        fail(service)
        assert service.leaked() == {"files": {"id"}}
        with half_sent(service.service) as waiting:
            assert service.logged() == set()
            service.answers = [waiting.recv(65536)]
        assert status_of(service.answers[0]) == 503
    spans = b"".join(collector.raw)
    assert len(collector.spans) > 50
    assert leaks(b"".join(service.answers) + spans) == set()
    codes = {event.get("code") for event in service.service.events}
    assert codes >= {200, 400, 401, 403, 404, 405, 408, 413, 414, 415, 422, 429, 431, 499, 500, 503, 504}


def test_no_canary_appears_after_an_internal_error(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """An error whose message quotes the ticket gives a 500 without the message; the log has its class and place."""
    with watched(tiny_bundle_path, tmp_path, module="tests.faults.servers.failing") as service:
        received = answer(service.service.port, post("/v1/route", as_json(ticket()), known=ROUTER))
        service.answers.append(received)
        assert status_of(received) == 500
        assert service.leaked() == {}
        assert service.logged() == set()
    (line,) = [event for event in service.service.events if event["level"] == "error"]
    assert line["error"].startswith("KeyError at")
    assert "ValueError at" in line["error"]


def test_a_stock_application_leaks_canaries(tmp_path: Path) -> None:
    """uvicorn's log and FastAPI's errors repeat this many kinds of canaries."""
    with stock_with_keys(tmp_path, ROUTER.key, OPS.key) as stock:
        received = [answer(stock.port, sent.raw, 2) for sent in (*public_requests(), *management_requests())]
    refused = b"".join(each for each in received if each and status_of(each) >= 400)
    logged = leaks(stock.log.read_text())
    assert len(logged) >= LOGGED_BY_STOCK, logged
    assert len(leaks(refused)) >= ANSWERED_BY_STOCK, leaks(refused)
