"""`service.server.sockets`: a port that closes loses nobody whom it let in."""

import asyncio
import contextlib
import multiprocessing
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from service.server.sockets import let_nobody_in

ROUNDS, CALLERS = 20, 4
SERVED_SECONDS = 0.05


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        listening.setblocking(False)
        yield listening


def connect(port: int, seconds: float) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), seconds)


def test_who_came_before_is_let_in_and_who_comes_after_is_not(listener: socket.socket) -> None:
    """The second gets no answer at all, which is what makes it ask again; when the port is closed it is refused."""
    port = listener.getsockname()[1]
    with connect(port, 5) as before:
        asyncio.run(let_nobody_in(listener))
        with pytest.raises(TimeoutError):
            connect(port, 0.2)
        accepted, _ = listener.accept()
        before.sendall(b"x")
        accepted.settimeout(5)
        assert accepted.recv(1) == b"x"
        accepted.close()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        connect(port, 5)


def test_a_connection_goes_on_as_before(listener: socket.socket) -> None:
    """Also to its end: only what would open another is dropped."""
    with connect(listener.getsockname()[1], 5) as client:
        accepted, _ = listener.accept()
        asyncio.run(let_nobody_in(listener))
        accepted.settimeout(5)
        client.sendall(b"x")
        assert accepted.recv(1) == b"x"
        accepted.close()
        assert client.recv(1) == b""


def test_nobody_is_reset_by_a_closing_port() -> None:
    """Callers who connect again and again are answered or refused, and none is cut off in between."""
    ends = sum((_round() for _ in range(ROUNDS)), Counter[str]())
    assert ends["lost"] == 0
    assert ends["answered"] > ROUNDS
    assert ends["refused"] == ROUNDS * CALLERS


def _round() -> Counter[str]:
    forked = multiprocessing.get_context("fork")
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        listening.setblocking(False)
        ends: multiprocessing.Queue[Counter[str]] = forked.Queue()
        callers = [forked.Process(target=_call, args=(listening, ends), daemon=True) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        _answer(listening, SERVED_SECONDS)
        asyncio.run(let_nobody_in(listening))
        _answer(listening, 0)
        listening.close()
        return sum((ends.get(timeout=30) for _ in callers), Counter[str]())


def _answer(listening: socket.socket, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            accepted, _ = listening.accept()
        except BlockingIOError:
            if time.monotonic() >= until:
                return
            continue
        with accepted, contextlib.suppress(OSError):
            accepted.settimeout(5)
            accepted.recv(1)
            accepted.sendall(b"y")


def _call(listening: socket.socket, told: "multiprocessing.Queue[Counter[str]]") -> None:
    port, ends = listening.getsockname()[1], Counter[str]()
    listening.close()  # or it would stay open with us
    while not ends["refused"]:
        try:
            connection = connect(port, 5)
        except ConnectionRefusedError:
            ends["refused"] += 1
            continue
        with connection:
            try:
                connection.sendall(b"x")
                ends["answered" if connection.recv(1) else "lost"] += 1
            except OSError:
                ends["lost"] += 1
    told.put(ends)
