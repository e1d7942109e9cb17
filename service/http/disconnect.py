"""Cancels the work of a request when its client disconnects.

`server/protocol.py` puts a `Connection` into the scope of each request and reports the disconnect to it. The
alternative, a task per request that waits for `http.disconnect`, costs as much as reading the request.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from starlette.types import Scope

from service.errors import ClientGone

EXTENSION = "ticket_router.connection"


class Connection:
    """Calls its listeners when the client disconnects."""

    def __init__(self) -> None:
        self.lost = False
        self._listeners: set[Callable[[], None]] = set()

    def add_listener(self, listener: Callable[[], None]) -> None:
        self._listeners.add(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        self._listeners.discard(listener)

    def notify_lost(self) -> None:
        self.lost = True
        for listener in tuple(self._listeners):
            listener()


def connection_of(scope: Scope) -> Connection:
    """The connection of the request. Other servers do not provide one: return a connection that is never lost."""
    connection: Connection = scope.get("extensions", {}).get(EXTENSION) or Connection()
    return connection


@contextlib.contextmanager
def while_connected(scope: Scope) -> Iterator[None]:
    """Cancel the code inside when the client disconnects, so that its tickets leave the queue.

    Raises:
        ClientGone: the client disconnected.
    """
    connection = connection_of(scope)
    if connection.lost:
        raise ClientGone
    task = asyncio.current_task()
    disconnected = False

    def cancel_task() -> None:
        nonlocal disconnected
        disconnected = True
        if task is not None:
            task.cancel()

    connection.add_listener(cancel_task)
    try:
        yield
    except asyncio.CancelledError:
        # If the server has cancelled the task too, `uncancel` is not zero, and the cancellation must go on.
        if disconnected and task is not None and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        connection.remove_listener(cancel_task)
