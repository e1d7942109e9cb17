"""A client's connection, as its requests see it: `server/protocol.py` puts it into the scope and updates it.

`middleware.py` cancels a request when its client disconnects. The alternative, a task per request that waits
for `http.disconnect`, costs as much as reading the request.
"""

import asyncio

from starlette.types import Scope

EXTENSION = "ticket_router.connection"


class Connection:
    """`lost`: the client has disconnected. `receiving`: a body is still on its way. `task`: the request at work, to be
    cancelled when the client disconnects; a connection works on one request at a time."""

    __slots__ = ("lost", "receiving", "task")

    def __init__(self) -> None:
        self.lost = False
        self.receiving = True
        self.task: asyncio.Task[None] | None = None

    def notify_lost(self) -> None:
        self.lost = True
        if self.task is not None:
            self.task.cancel()


def connection_of(scope: Scope) -> Connection:
    """The connection of the request. Other servers do not provide one: return a connection that is never lost."""
    connection: Connection = scope.get("extensions", {}).get(EXTENSION) or Connection()
    return connection
