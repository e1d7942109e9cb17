"""HAProxy and Prometheus with the files that compose mounts, in front of three real services.

Only addresses, paths and intervals are this machine's. Single restarts and reloads: tests/app/test_rollout.py.
"""

import contextlib
import json
import re
import socket
import socketserver
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from service.http.problems import Problem
from tests.benchmarks.rollout.members import Member, members
from tests.benchmarks.rollout.proxy import Proxy, haproxy
from tests.deploy.compose import mounted, services, substituted
from tests.monitoring.prometheus import running
from tests.monitoring.rules import rules, tool
from tests.support.local_server import answering
from tests.support.process import post_head
from tests.support.waiting import wait_until

TICKET = b'{"subject": "Invoice", "body": "Where is it?"}'
HEAD_SECONDS = 10
"""`timeout http-request` of the configuration."""
FEW = 5
"""The connection limit of one source, small enough for a test."""


@dataclass(frozen=True)
class Stack:
    routers: Sequence[Member]
    proxy: Proxy
    folder: Path


@pytest.fixture(scope="module")
def stack(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with members(tiny_bundle_path, folder) as routers, haproxy(routers, folder) as proxy:
        yield Stack(routers, proxy, folder)


@pytest.fixture
def narrow(stack: Stack, tmp_path: Path) -> Iterator[Proxy]:
    """A second proxy in front of the same services, with a low limit of connections per source."""
    with haproxy(stack.routers, tmp_path, ROUTER_CONNECTIONS_PER_SOURCE=str(FEW)) as proxy:
        yield proxy


def ask(port: int, content: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes and read until the server closes: status, headers, body."""
    with socket.create_connection(("127.0.0.1", port), timeout=HEAD_SECONDS + 20) as connection:
        connection.sendall(content)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split(" ")[1]), headers, body


def problem_of(port: int, content: bytes) -> tuple[Problem, dict[str, str]]:
    """The proxy's own response, which must be a problem with its request id."""
    status, headers, body = ask(port, content)
    problem = Problem.model_validate_json(body)
    assert headers["content-type"] == "application/problem+json"
    assert (problem.status, problem.request_id) == (status, headers["x-request-id"])
    assert problem.request_id
    return problem, headers


def ticket(*headers: str, length: int = len(TICKET)) -> bytes:
    return post_head("/v1/route", length, "Connection: close", *headers)


def served(proxy: Proxy) -> dict[str, int]:
    """The number of requests sent to each router."""
    metrics = httpx.get(f"http://127.0.0.1:{proxy.management_port}/metrics").text
    found = re.findall(r'haproxy_server_http_responses_total\{[^}]*server="([\w-]+)",code="2xx"\} (\d+)', metrics)
    return {name: int(count) for name, count in found}


def test_requests_are_spread_over_all_routers(stack: Stack) -> None:
    before = served(stack.proxy)
    statuses = Counter(ask(stack.proxy.port, ticket() + TICKET)[0] for _ in range(30))
    assert statuses == {200: 30}
    assert all(count > before[name] for name, count in served(stack.proxy).items())


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (("X-Request-ID: T-1001.1",), True),
        (("X-Request-ID: a b",), False),
        (("X-Request-ID: trk_secret",), False),
        ((), False),
    ],
)
def test_both_logs_have_the_same_request_id(stack: Stack, sent: tuple[str, ...], kept: bool) -> None:
    """The client's id if it is well-formed and no key; the service uses the id that the proxy chose."""
    status, headers, _ = ask(stack.proxy.port, ticket(*sent) + TICKET)
    request_id = headers["x-request-id"]
    assert status == 200
    assert (request_id == "T-1001.1") == kept
    log = stack.folder / "haproxy.log"
    wait_until(lambda: f"POST /v1/route {request_id}\n" in log.read_text())
    assert "trk_secret" not in log.read_text()


@dataclass(frozen=True)
class Slow:
    """A connection's result, and its seconds."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float


@pytest.fixture(scope="module")
def slow(stack: Stack) -> dict[str, Slow]:
    """A head and a body without their last byte, sent at the same time."""

    def waited_for(content: bytes) -> Slow:
        began = time.monotonic()
        return Slow(*ask(stack.proxy.port, content), time.monotonic() - began)

    with ThreadPoolExecutor() as pool:
        head, body = pool.map(waited_for, (ticket()[:-1], ticket() + TICKET[:-1]))
    return {"head": head, "body": body}


def logged(stack: Stack, request_id: str) -> str:
    """The proxy's log line of a request."""
    log = stack.folder / "haproxy.log"
    wait_until(lambda: f" {request_id}\n" in log.read_text())
    return next(line for line in log.read_text().splitlines() if line.endswith(f" {request_id}"))


def test_a_slow_body_never_reaches_a_service(stack: Stack, slow: dict[str, Slow]) -> None:
    """The proxy waits for it and answers itself after its time limit: its log names no router."""
    body = slow["body"]
    problem = Problem.model_validate_json(body.body)
    assert body.seconds == pytest.approx(HEAD_SECONDS, abs=3)
    assert (body.status, problem.code, body.headers["connection"]) == (408, "request_timeout", "close")
    assert problem.request_id == body.headers["x-request-id"]
    assert " routers/<NOSRV> " in logged(stack, problem.request_id)


def test_a_slow_head_gets_a_408(slow: dict[str, Slow]) -> None:
    """Debian's 2.6 answers with a page of its own, 3.2 sends errors/408.http."""
    head = slow["head"]
    assert head.seconds == pytest.approx(HEAD_SECONDS, abs=3)
    assert (head.status, head.headers["connection"]) == (408, "close")


def test_a_malformed_head_is_refused(stack: Stack) -> None:
    assert ask(stack.proxy.port, b"POST /v1/route HTTP/1.1\r\nno colon\r\n\r\n")[0] == 400


@pytest.mark.parametrize(
    "headers", [("X-Long: " + "a" * 16_000,), tuple(f"X-{number}: 1" for number in range(61))], ids=["long", "many"]
)
def test_a_head_too_large_is_refused(stack: Stack, headers: tuple[str, ...]) -> None:
    assert problem_of(stack.proxy.port, ticket(*headers) + TICKET)[0].code == "head_too_large"


def test_a_source_with_too_many_connections_gets_429_and_is_then_cut_off(narrow: Proxy) -> None:
    """The refusal is cheap: a connection over the limit gets 429, one over twice the limit is closed without a
    response."""
    with contextlib.ExitStack() as held:
        for _ in range(FEW):
            held.enter_context(socket.create_connection(("127.0.0.1", narrow.port)))
        problem, headers = problem_of(narrow.port, ticket() + TICKET)
        assert (problem.code, headers["retry-after"]) == ("too_many_connections", "5")
        for _ in range(FEW):
            held.enter_context(socket.create_connection(("127.0.0.1", narrow.port)))
        wait_until(lambda: _is_cut_off(narrow.port))  # a busy proxy counts connections late
    wait_until(lambda: ask(narrow.port, ticket() + TICKET)[0] == 200)


def _is_cut_off(port: int) -> bool:
    try:
        ask(port, ticket() + TICKET)
    except ConnectionError:
        return True
    return False


def test_without_a_router_the_client_gets_retry_after(tmp_path: Path) -> None:
    with haproxy([], tmp_path) as proxy:
        problem, headers = problem_of(proxy.port, ticket() + TICKET)
    assert (problem.code, headers["retry-after"]) == ("not_ready", "1")


def test_routers_that_all_die_during_a_request_give_502(tmp_path: Path) -> None:
    """The client does not wait for a response that never comes."""
    with _dying() as dying, haproxy(dying, tmp_path) as proxy:
        problem, _ = problem_of(proxy.port, ticket() + TICKET)
    assert (problem.status, problem.code) == (502, "internal_error")


def test_with_a_certificate_the_port_accepts_only_tls(stack: Stack, tmp_path: Path) -> None:
    certificates = tmp_path / "certificates"
    certificates.mkdir()
    pem = str(certificates / "example.pem")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-keyout",
        pem,
        "-out",
        "-",
    ]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    with Path(pem).open("ab") as file:
        file.write(made)
    with haproxy(stack.routers, tmp_path, ROUTER_CERTIFICATES=str(certificates)) as proxy:
        with ssl.create_default_context(cafile=pem).wrap_socket(
            socket.create_connection(("127.0.0.1", proxy.port)), server_hostname="localhost"
        ) as connection:
            connection.sendall(ticket() + TICKET)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        with socket.create_connection(("127.0.0.1", proxy.port)) as plain:
            plain.sendall(ticket() + TICKET)
            assert b"HTTP" not in plain.recv(65536)


@contextlib.contextmanager
def _dying() -> Iterator[list[Any]]:
    """Three routers that report ready, and close every connection with a ticket without a response."""

    class Ready(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if b"/readyz" in self.request.recv(65536):
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with answering(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Ready)) as port:
        yield [SimpleNamespace(name=f"router-{n}", port=port, management_port=port) for n in (1, 2, 3)]


def test_routers_are_found_by_dns_name_as_in_compose(stack: Stack, tmp_path: Path) -> None:
    """By Docker's DNS; a stopped router has no address, which is no error."""
    environment = services()["proxy"]["environment"]
    names = {f"ROUTER_{number}": environment[f"ROUTER_{number}"].partition(":")[0] for number in (1, 2, 3)}
    ports = {name: f"{host}:{member.port}" for (name, host), member in zip(names.items(), stack.routers, strict=True)}
    with (
        _dns({names["ROUTER_1"], names["ROUTER_2"]}) as address,
        haproxy(stack.routers[:2], tmp_path, ROUTER_DNS=address, **ports) as proxy,
    ):
        assert Counter(ask(proxy.port, ticket() + TICKET)[0] for _ in range(10)) == {200: 10}
        assert served(proxy)["router-3"] == 0


@contextlib.contextmanager
def _dns(known: set[str]) -> Iterator[str]:
    """A name server that resolves these names to 127.0.0.1."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, sender = self.request
            end = query.index(b"\0", 12) + 5
            name = query[13 : 13 + query[12]].decode()
            is_address = query[end - 4 : end - 2] == b"\0\1"
            records = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x7f\0\0\1" if name in known and is_address else b""
            flags = b"\x81\x80" if name in known else b"\x81\x83"
            head = query[:2] + flags + b"\0\1" + (b"\0\1" if records else b"\0\0") + b"\0\0\0\0"
            sender.sendto(head + query[12:end] + records, self.client_address)

    with answering(socketserver.ThreadingUDPServer(("127.0.0.1", 0), Answer)) as port:
        yield f"127.0.0.1:{port}"


def test_prometheus_scrapes_all_routers_and_the_proxy_under_the_rules(stack: Stack, tmp_path: Path) -> None:
    """Started by compose's own command, with compose's own files."""
    paths = mounted("prometheus") | {"/tmp": tmp_path, "/prometheus": tmp_path / "data"}
    config = tmp_path / "prometheus.yml"
    config.write_text(_scraped_here(paths["/etc/prometheus/prometheus.yml"].read_text(), stack, paths))
    (command,) = services()["prometheus"]["command"]
    script = substituted(command, paths | {"/etc/prometheus/prometheus.yml": config}).rstrip()
    assert tool("prometheus")
    with running(["/bin/sh", "-euc", script + ' "$@"', "prometheus"], tmp_path) as prometheus:
        wait_until(lambda: len(prometheus.ask('up{job="ticket-router"} == 1')) == 3, 30)
        wait_until(lambda: prometheus.ask('up{job="haproxy"} == 1') == [1], 30)
        assert prometheus.labels("ticket_router_ready", "instance") == {member.name for member in stack.routers}
        assert len(prometheus.rules()) == len(rules("alert")) + len(rules("record"))
        wait_until(lambda: {rule["health"] for rule in prometheus.rules()} == {"ok"}, 30)


def _scraped_here(text: str, stack: Stack, paths: dict[str, Path]) -> str:
    """The configuration with this machine's addresses in place of Docker's DNS names, and intervals of a second."""
    content = yaml.safe_load(substituted(text, paths))
    content["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    routers, proxy = content["scrape_configs"]
    (found,) = routers.pop("dns_sd_configs")
    assert found["names"] == [member.name for member in stack.routers]
    routers["static_configs"] = [
        {"targets": [f"127.0.0.1:{member.management_port}"], "labels": {"__meta_dns_name": member.name}}
        for member in stack.routers
    ]
    proxy["static_configs"] = [{"targets": [f"127.0.0.1:{stack.proxy.management_port}"]}]
    return json.dumps(content)
