"""Hundreds of connections: idle and slow ones are is_closed, valid requests are answered."""

import contextlib
import http.client
import resource
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.server import limits
from tests.app.test_overload import LONG
from tests.faults.http.cases import GOOD, get, head, post
from tests.support.process import Service, serving
from tests.support.waiting import wait_until

FLOOD = 400


def connect(port: int, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(sent)
    return connection


@contextlib.contextmanager
def capped(bundle: Path, connections: int, *flags: str) -> Iterator[Service]:
    """A service with this `--max-connections`, and short time limits."""
    flags = (*flags, "--max-connections", str(connections))
    with serving(bundle, *flags, module="tests.faults.servers.short_limits") as service:
        yield service


def ask(service: Service) -> int:
    """The status of one valid request on its own connection."""
    with connect(service.port, post(GOOD)) as connection:
        return int(connection.recv(65536).split()[1])


def answer(connection: socket.socket) -> int:
    """The status of a whole response; head and body may come in two pieces."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def is_closed(connection: socket.socket) -> bool:
    """Reads what was sent before the close."""
    connection.settimeout(10)
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return True


def send_without_end(connection: socket.socket, piece: bytes) -> None:
    while True:
        connection.sendall(piece)


def flood(service: Service, count: int) -> list[int]:
    """Statuses of valid requests while this many connections are silent, idle, or half-way through a head or body."""
    kinds = (b"", get(), head()[:-2], post(GOOD)[:-1])
    with contextlib.ExitStack() as held:
        for number in range(count):
            held.enter_context(connect(service.port, kinds[number % len(kinds)]))
        assert service.management("/livez").status_code == 200
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: ask(service), range(100)))


def test_idle_and_slow_connections_do_not_block_others(tiny_bundle_path: Path) -> None:
    """With several times as many connections as allowed, every valid request on a new connection is answered."""
    with capped(tiny_bundle_path, 100) as service:
        assert flood(service, FLOOD) == [200] * 100


@pytest.mark.slow
def test_five_thousand_idle_and_slow_connections_do_not_block_others(service: Service) -> None:
    """The same with the production limits."""
    limits.allowed_connections(5000)  # raises the open-files limit of this process, for the clients' sockets
    assert flood(service, 5000) == [200] * 100


def test_a_new_connection_takes_the_place_of_the_longest_idle_one(tiny_bundle_path: Path) -> None:
    """Kept connections are is_closed in the order of their last use."""
    with capped(tiny_bundle_path, 3) as service, contextlib.ExitStack() as opened:
        first, second, third = (opened.enter_context(connect(service.port)) for _ in range(3))
        for each in (first, second, third, first):
            each.sendall(get())
            assert answer(each) == 200
        assert ask(service) == 200
        assert is_closed(second)
        assert service.counts("connections_evicted_total") == 1
        for each in (first, third):
            each.sendall(get())
            assert answer(each) == 200


def test_a_connection_beyond_the_limit_gets_503_while_all_are_busy(tiny_bundle_path: Path) -> None:
    """With Retry-After and its own code; the busy ones are answered, and then a new connection is accepted again."""
    body = b'{"tickets":[' + b",".join([b'{"body":"' + LONG["body"].encode() + b" %d" % n + b'"}' for n in range(256)])
    batch = head(f"Content-Length: {len(body) + 2}", request="POST /v1/route/batch HTTP/1.1") + body + b"]}"
    busy = ("--runners", "1", "--max-batch-tokens", "64")
    with capped(tiny_bundle_path, 4, *busy) as service, contextlib.ExitStack() as opened:
        working = [opened.enter_context(connect(service.port, batch)) for _ in range(4)]
        wait_until(lambda: service.counts("queue_depth") > 0)
        refused = opened.enter_context(connect(service.port, get()))
        refusal = refused.recv(65536).lower()
        assert refusal.startswith(b"http/1.1 503 ")
        assert b"retry-after: " in refusal
        assert b"too_many_connections" in refusal
        assert b"x-content-type-options: nosniff\r\n" in refusal  # every response of the service has it
        assert all(each.recv(65536).startswith(b"HTTP/1.1 200 ") for each in working)
        assert ask(service) == 200
        assert service.counts('rejected_total{reason="too_many_connections"') == 1
        assert service.counts('http_requests_total{code="503",method="other",route="unmatched"') == 1


def test_a_client_that_does_not_read_is_disconnected(short_limits: Service) -> None:
    """Unread responses do not fill memory: the connection is is_closed after any number of requests."""
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.connect(("127.0.0.1", short_limits.port))
        greedy.settimeout(30)
        with pytest.raises(ConnectionError):
            send_without_end(greedy, get() * 1000)
    assert ask(short_limits) == 200


def test_a_client_that_is_still_sending_gets_its_413(short_limits: Service) -> None:
    """Closed at once, the connection would be reset, and a client that sends everything before it reads would miss
    the 413. The rest of the body is received and dropped, and the connection serves its next request."""
    too_large = head("Content-Length: 8000000")
    with connect(short_limits.port, too_large) as connection:
        connection.sendall(b" " * 8_000_000)
        assert answer(connection) == 413
        connection.sendall(get())
        assert answer(connection) == 200


def test_an_endless_body_is_cut_off_after_its_response(short_limits: Service) -> None:
    """`closing_seconds` after the response."""
    with connect(short_limits.port, head("Transfer-Encoding: chunked")) as connection, pytest.raises(ConnectionError):
        send_without_end(connection, b"10000\r\n" + b"x" * 65536 + b"\r\n")


def test_pipelined_requests_are_answered_in_order(short_limits: Service) -> None:
    wanted = [post(GOOD, f"X-Request-ID: {number}") for number in range(limits.PUBLIC.pipelined)]
    with connect(
        short_limits.port, b"".join([*wanted[:-1], wanted[-1].replace(b"Host", b"Connection: close\r\nHost")])
    ) as connection:
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    ids = [int(line.split(b": ")[1]) for line in received.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids == list(range(limits.PUBLIC.pipelined))


def test_a_flood_of_tiny_requests_in_one_piece_ends_the_connection(short_limits: Service) -> None:
    """Requests in one piece of input are answered up to a limit, then the connection is is_closed."""
    with connect(short_limits.port, b"GET / HTTP/1.1\r\nHost:x\r\n\r\n" * 2000) as connection:
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(65536):
                received += data
    assert 1 <= received.count(b"HTTP/1.1 404 ") <= 2 * limits.PUBLIC.pipelined
    assert ask(short_limits) == 200


def test_max_connections_stays_below_the_open_files_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of open files is raised as far as the system allows."""
    state = {"limit": (1024, 2048)}
    monkeypatch.setattr(resource, "getrlimit", lambda _which: state["limit"])
    monkeypatch.setattr(resource, "setrlimit", lambda _which, limit: state.update(limit=limit))
    assert limits.allowed_connections(1000) == 1000
    assert state["limit"] == (1000 + limits.RESERVED_FILES, 2048)
    assert limits.allowed_connections(4000) == 2048 - limits.RESERVED_FILES
    state["limit"] = (64, 64)
    assert limits.allowed_connections(4000) == limits.MIN_CONNECTIONS


def test_at_a_limit_of_256_open_files_the_port_stays_open(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """uvloop closes a listening socket for good when accepting finds no descriptor; the limit of connections keeps a
    reserve of descriptors, so that this never happens."""
    started = tmp_path / "service.sh"
    started.write_text(f'#!/bin/sh\nulimit -n 256\nexec {sys.executable} "$@"\n')
    started.chmod(0o755)
    with serving(tiny_bundle_path, python=started) as service:
        assert resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE) == (256, 256)
        for _ in range(3):
            assert flood(service, FLOOD) == [200] * 100
        assert service.counts("connections_evicted_total") > FLOOD
        warned = [event["allowed"] for event in service.events if event["event"] == "fewer connections allowed"]
        assert warned == [256 - limits.RESERVED_FILES]


def test_probes_are_answered_during_a_flood_of_their_port(short_limits: Service) -> None:
    """The management port has its own limit of connections, and closes idle ones too."""
    with contextlib.ExitStack() as held:
        for _ in range(200):
            held.enter_context(connect(short_limits.management_port))
        assert [short_limits.management("/livez").status_code for _ in range(10)] == [200] * 10
