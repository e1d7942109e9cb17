"""`service.process.accepting`: taking connections where the system has no more files."""

import asyncio
import errno
import socket
from typing import Any, NoReturn

from uvicorn.server import ServerState

from service.http.connections import Connections
from service.http.door import Door
from service.process.accepting import PAUSE_SECONDS, Acceptor
from service.server.limits import PUBLIC
from service.server.protocol import LimitedProtocol


class OutOfFiles(socket.socket):
    """A port at which somebody waits whom the system has no file for."""

    def accept(self) -> NoReturn:
        raise OSError(errno.EMFILE, "no more files")


def no_protocol() -> LimitedProtocol:
    raise AssertionError("nobody was let in")


def test_a_port_that_closes_for_want_of_files_stays_closed() -> None:
    """The pause that follows has no other attempt at the end of it: there is nothing left to accept from."""
    said: list[dict[str, Any]] = []

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: said.append(context))
        door = Door(PUBLIC, Connections(1), lambda _refusal: None)
        with OutOfFiles() as listener:
            await Acceptor(listener, door, no_protocol, ServerState(), shared=False).stop()
        await asyncio.sleep(2 * PAUSE_SECONDS)

    asyncio.run(play())
    assert said == []
