"""The protocol by itself: a connection on a real socket pair, and what is written to it, write by write."""

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from service.server.limits import PUBLIC, ConnectionLimits
from service.server.protocol import LimitedProtocol, Port

PAUSE_SECONDS = 0.02


async def accepted(
    app: ASGIApp, limits: ConnectionLimits = PUBLIC
) -> tuple[LimitedProtocol, asyncio.Transport, socket.socket]:
    """A connection to this application, the only one of its port, and its client's end."""
    ours, theirs = socket.socketpair()
    config = uvicorn.Config(app, log_config=None, ws="none", lifespan="off")
    port = Port(limits, 1, lambda _error, _request_id: None, lambda: None, lambda _seconds: None)
    protocol = LimitedProtocol(port, config=config, server_state=ServerState(), app_state={})
    transport, _ = await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, ours)
    return protocol, transport, theirs


async def writes(transport: asyncio.Transport, theirs: socket.socket, *sent: bytes) -> list[bytes]:
    """What is written for these parts, sent one after another, until the connection is closed."""
    written: list[bytes] = []
    send = transport.write
    transport.write = lambda data: (written.append(bytes(data)), send(data))[1]  # type: ignore[method-assign]
    reader, writer = await asyncio.open_connection(sock=theirs)
    for part in sent:
        writer.write(part)
        await asyncio.sleep(PAUSE_SECONDS)
    await asyncio.wait_for(reader.read(), 10)
    writer.transport.abort()
    return written
