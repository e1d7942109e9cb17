"""A stopping server as its clients see it: requests that arrive while the port closes."""

import asyncio
import socket

import pytest
from fastapi import FastAPI

from service.server.serve import management_server, run_server
from service.server.sockets import bind

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def _app() -> FastAPI:
    app = FastAPI()
    app.add_api_route("/", lambda: "here")
    return app


async def _last_words(*, kept: bool) -> bytes:
    """The response to a request that is sent just before the port closes, on a kept-alive or a new connection."""
    listener = bind("127.0.0.1", 0)
    async with run_server(management_server(_app()), listener, asyncio.Event()):
        # A blocking socket: it connects and writes while the loop stands still, so that the server has seen nothing.
        client = socket.create_connection(listener.getsockname(), timeout=10)
        if kept:
            client.sendall(GET)
            assert b"connection: close" not in await asyncio.to_thread(_answer, client)
        client.sendall(GET)
    with client:
        return _answer(client)


def _answer(client: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b'"here"') and (more := client.recv(1000)):
        received += more
    return received


@pytest.mark.parametrize("kept", [True, False])
def test_a_request_in_progress_at_the_stop_is_answered_as_the_last(kept: bool) -> None:
    """200 with `Connection: close`, also on a connection that was not yet accepted."""
    answer = asyncio.run(_last_words(kept=kept))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in answer


def test_a_proxy_closes_its_idle_connections_first() -> None:
    """nginx closes after 60 s by default. If the server closed first, a request that nginx is sending could be lost."""
    assert management_server(_app()).config.timeout_keep_alive > 60
