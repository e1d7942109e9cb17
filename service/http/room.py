"""Room in memory for bodies on their way: who must leave when one more has none.

`body.py` says how much of each is there. As with connections (`connections.py`), whoever keeps us waiting makes way,
and not whoever comes.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from service.errors import TooManyBodies

LIMIT_BYTES = 64_000_000
"""Together: sixteen of the largest batches, which are a flood or a few slow clients."""
FREE_BYTES = 16_384
"""Of each body so much counts for nothing: a connection reads as much ahead anyway, and nearly every ticket is less."""
GRACE_SECONDS = 2.0
"""A body that has held room for longer makes way for another of its caller's: the largest batch takes so long at
2 MB/s."""


@dataclass(eq=False, slots=True)
class Body:
    """One on its way. `leave` ends its reading; `since` is when it first took room."""

    caller: str | None
    leave: Callable[[], None]
    bytes: int = 0
    since: float = 0.0
    left: bool = False


class Room:
    """Use from one event loop only. `clock`: seconds that only grow."""

    def __init__(self, clock: Callable[[], float], limit_bytes: int = LIMIT_BYTES) -> None:
        self._clock = clock
        self._limit = limit_bytes
        self._bodies: dict[Body, None] = {}
        self._of: Counter[str | None] = Counter()

    def hold(self, body: Body, received: int) -> None:
        """So much of it is in memory from now on; others may have to leave for that.

        Raises:
            TooManyBodies: there is no room for it, and none to be made.
        """
        counted = max(received - FREE_BYTES, 0)
        if body.left or not counted:
            return
        if body not in self._bodies:
            self._bodies[body], body.since = None, self._clock()
        self._count(body, counted - body.bytes)
        while self._of.total() > self._limit:
            self._make_way(body)

    def release(self, body: Body) -> None:
        """Its reading is over, one way or the other."""
        if body in self._bodies:
            del self._bodies[body]
            self._count(body, -body.bytes)

    def _make_way(self, newest: Body) -> None:
        """The longest there of the caller with the most, or the one that came last."""
        greediest = self._of.most_common(1)[0][0]
        longest = next(body for body in self._bodies if body.caller == greediest)
        if greediest == newest.caller and self._clock() - longest.since < GRACE_SECONDS:
            longest = newest
        self.release(longest)
        longest.left = True
        if longest is newest:
            raise TooManyBodies
        longest.leave()

    def _count(self, body: Body, more: int) -> None:
        body.bytes += more
        self._of[body.caller] += more
        if not self._of[body.caller]:
            del self._of[body.caller]
