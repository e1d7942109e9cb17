"""The protocol by itself: a connection on a real socket pair, and what is written to it, write by write."""

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from service.http.connections import Connections
from service.http.door import Door
from service.http.early import Early, never
from service.http.piecewise import TURN_BYTES
from service.server.limits import PUBLIC, Limits
from service.server.protocol import LimitedProtocol
from service.share import Share

PAUSE_SECONDS = 0.02


async def accepted(
    app: ASGIApp, limits: Limits = PUBLIC, early: Early = never, idle_seconds: float = 5, share: Share | None = None
) -> tuple[LimitedProtocol, asyncio.Transport, socket.socket]:
    """A connection to this application, the only one of its port, and its client's end."""
    ours, theirs = socket.socketpair()
    config = uvicorn.Config(
        app,
        log_config=None,
        ws="none",
        lifespan="off",
        timeout_keep_alive=idle_seconds,  # type: ignore[arg-type] # the loop takes parts of a second as well
    )
    connections = Connections(1)
    protocol = LimitedProtocol(
        Door(limits, connections, lambda _refusal: None, early, share=share or Share(TURN_BYTES)), config, ServerState()
    )
    connections.add(protocol)
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
