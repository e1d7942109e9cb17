"""The open connections of one port, up to a limit: who must leave when one more comes.

`process/accepting.py` asks before it lets one in; `protocol.py` says what each is doing.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol


class Evictable(Protocol):
    """A connection as seen from here."""

    def evict(self) -> None: ...


class Connections:
    """Use from one event loop only. A connection waits for its client, or has a request at work.

    `newest_first`: where all have a request at work, one more takes the place of the oldest nevertheless. A probe that
    is turned away costs a service its life.
    """

    def __init__(
        self,
        limit: int,
        on_evict: Callable[[], None] = lambda: None,
        *,
        newest_first: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self._on_evict = on_evict
        self._newest_first = newest_first
        self._open: dict[Evictable, None] = {}
        self._waiting: OrderedDict[Evictable, float] = OrderedDict()
        """Since when it has been its client's turn."""
        self._clock = clock

    def __len__(self) -> int:
        return len(self._open)

    def has_room(self) -> bool:
        """Whether one more may come in; makes room if need be and if any may be closed for it."""
        if len(self._open) < self.limit or self.evict():
            return True
        return self._newest_first and self._close(next(iter(self._open)))

    def evict(self, waited: float = 0.0) -> bool:
        """Close the one that has kept us waiting longest; False if none has for so many seconds: all the others have a
        request at work, or are about to have one."""
        longest, since = next(iter(self._waiting.items()), (None, 0.0))
        return longest is not None and self._clock() - since >= waited and self._close(longest)

    def _close(self, connection: Evictable) -> bool:
        self.discard(connection)
        connection.evict()
        self._on_evict()
        return True

    def add(self, connection: Evictable) -> None:
        self._open[connection] = None

    def discard(self, connection: Evictable) -> None:
        self._open.pop(connection, None)
        self._waiting.pop(connection, None)

    def waits(self, connection: Evictable) -> None:
        """From now on it is its client's turn."""
        if connection in self._open:
            self._waiting[connection] = self._clock()
            self._waiting.move_to_end(connection)

    def works(self, connection: Evictable) -> None:
        """From now on it is our turn."""
        self._waiting.pop(connection, None)
