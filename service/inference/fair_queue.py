"""Whose turn it is when several callers have work waiting: each gets an equal share of the runners, whatever the others
send, and what one leaves unused goes to the rest.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", IEEE/ACM Transactions on Networking 5(5),
1997): work is done in the order of its tags. One caller's tags follow each other by the cost of its work, so who sends
much gets tags far ahead; who has nothing waiting begins where the others are served now. With one caller it is first
come, first served.
"""

from collections import Counter

GREED = 3
"""A caller may have this many times as much waiting as there is room left: alone it can fill three quarters of a queue,
and who comes then finds room (dynamic thresholds: Choudhury and Hahne, "Dynamic Queue Length Thresholds for
Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking 6(2), 1998)."""


class FairQueue:
    """Tags of what waits, and how much waits for whom. Costs are in any one unit."""

    def __init__(self) -> None:
        self.total = 0
        self._served = 0
        self._next: dict[str | None, int] = {}
        self._waiting: Counter[str | None] = Counter()

    @property
    def callers(self) -> int:
        """How many have something waiting."""
        return len(self._waiting)

    def begin(self, caller: str | None, cost: int) -> int:
        """Work of this cost waits from now on. Returns its tag: the lowest is to be done first."""
        tag = max(self._served, self._next.get(caller, 0))
        self._next[caller] = tag + cost
        self._waiting[caller] += cost
        self.total += cost
        return tag

    def serve(self, tag: int) -> None:
        """Work with this tag is being done now; it still has to `leave`."""
        self._served = max(self._served, tag)

    def leave(self, caller: str | None, cost: int) -> None:
        """Work waits no more. When nothing does, nobody has had more than its share."""
        self.total -= cost
        self._waiting[caller] -= cost
        if not self._waiting[caller]:
            del self._waiting[caller]
        if not self.total:
            self._next.clear()
            self._served = 0

    def waiting(self, caller: str | None) -> int:
        """How much of this caller's waits."""
        return self._waiting[caller]

    def full(self, caller: str | None, limit: int) -> bool:
        """Whether there is no room for more of this caller's in a queue with this limit. What is to be added does not
        count: the largest has the same chance as the smallest. None, who is everybody, may fill all of it."""
        room = limit - self.total
        return room <= 0 or (caller is not None and self._waiting[caller] > GREED * room)

    def ahead(self, caller: str | None, cost: int = 0) -> int:
        """How much will be done before work of this cost that this caller would add now: all its own, and of each
        other's about as much as its own would be then."""
        own = self._waiting[caller]
        others = sum(min(own + cost, waiting) for name, waiting in self._waiting.items() if name != caller)
        return own + others
