"""A client's connection as a request sees it: whether it is still there.

Every request's scope has its connection, which is told when it is lost: a task per request that waits for that would
cost as much as reading the request.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from starlette.types import Scope

from service.errors import ClientGone

EXTENSION = "ticket_router.connection"


class Connection:
    """Calls its listeners when it is lost."""

    def __init__(self) -> None:
        self.lost = False
        self._listeners: set[Callable[[], None]] = set()

    def on_lost(self, listener: Callable[[], None]) -> None:
        self._listeners.add(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        self._listeners.discard(listener)

    def lose(self) -> None:
        self.lost = True
        for listener in tuple(self._listeners):
            listener()


def connection_of(scope: Scope) -> Connection:
    """The request's connection. Another server than ours puts none there, and has nothing to tell of it."""
    connection: Connection = scope.get("extensions", {}).get(EXTENSION) or Connection()
    return connection


@contextlib.contextmanager
def while_connected(scope: Scope) -> Iterator[None]:
    """Cancel what is inside when the client hangs up, so that its tickets leave the queue.

    Raises:
        ClientGone: it did.
    """
    connection = connection_of(scope)
    if connection.lost:
        raise ClientGone
    work = asyncio.current_task()
    gone = False

    def leave() -> None:
        nonlocal gone
        gone = True
        if work is not None:
            work.cancel()

    connection.on_lost(leave)
    try:
        yield
    except asyncio.CancelledError:
        # `uncancel` tells our own cancel from one by the server, which must go on.
        if gone and work is not None and work.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        connection.forget(leave)
