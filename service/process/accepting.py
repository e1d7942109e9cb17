"""Taking connections from a port's queue: never more than may be open, and never in vain.

In place of the event loop's own way, which closes the port for good when the process has no more files to open, and
lets in whoever comes. `serving.py` starts and stops it.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

import structlog
from uvicorn.server import ServerState

from service.errors import TooManyConnections
from service.http.door import Door
from service.http.refusals import Refusal
from service.http.request_id import new_request_id
from service.server.protocol import LimitedProtocol

AT_ONCE = 32
"""Accepted before the loop turns to those it has: a flood of connections must not stop the requests."""
PAUSE_SECONDS = 0.1
"""How long nobody is accepted after the system refused: it would refuse again at once, and again."""
TOLD_SECONDS = 10
"""At most one line of the log in this time says that the limit is reached: a flood must not fill the disk."""
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = structlog.get_logger()


class Acceptor:
    """Use from one event loop only."""

    def __init__(
        self,
        listener: socket.socket,
        door: Door,
        make: Callable[[], LimitedProtocol],
        state: ServerState,
    ) -> None:
        self._listener = listener
        self._door = door
        self._make = make
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[object]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._quiet_until = 0.0

    def start(self) -> None:
        self._pause = None
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    async def stop(self) -> None:
        """Take who is waiting and nobody else, and close the port."""
        self._end_pause()
        self._loop.remove_reader(self._listener)
        self._accept(self._door.connections.limit)
        self._end_pause()  # out of files just now: it must not begin anew with a port that is closed
        self._listener.close()
        if self._connecting:
            await asyncio.wait(self._connecting)

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()

    def _accept(self, at_most: int = AT_ONCE) -> None:
        for _ in range(at_most):
            try:
                connection, _ = self._listener.accept()
            except OSError as error:  # nobody waits, or who did has left
                if error.errno in EXHAUSTED:
                    self._make_way()
                return
            connection.setblocking(False)
            if self._door.connections.has_room():
                self._connect(connection)
            else:
                self._turn_away(connection)

    def _connect(self, connection: socket.socket) -> None:
        protocol = self._make()
        self._door.connections.add(protocol)
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: protocol, connection))
        self._connecting.add(task)

        def connected(done: asyncio.Task[object]) -> None:
            self._connecting.discard(task)
            if done.cancelled() or done.exception() is not None:
                self._door.connections.discard(protocol)
                connection.close()

        task.add_done_callback(connected)

    def _turn_away(self, connection: socket.socket) -> None:
        self._tell("every connection has a request at work")
        with connection, contextlib.suppress(OSError):
            refusal = Refusal(TooManyConnections(), new_request_id())
            self._door.on_refusal(refusal)
            connection.send(self._door.answers.to(refusal, self._state.default_headers))
            connection.shutdown(socket.SHUT_WR)
            connection.recv(65536)  # closed with input unread, it would be reset and its answer be lost

    def _make_way(self) -> None:
        self._tell("the system lets us open no more files")
        for _ in range(AT_ONCE):
            self._door.connections.evict(PAUSE_SECONDS)
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(PAUSE_SECONDS, self.start)

    def _tell(self, cause: str) -> None:
        if self._loop.time() >= self._quiet_until:
            self._quiet_until = self._loop.time() + TOLD_SECONDS
            _log.warning("no room for connections", cause=cause, open=len(self._door.connections))
