"""Fair queueing between callers: each caller with waiting work gets an equal share of the runners; unused shares go to
the other callers.

Start-time fair queueing (Goyal, Vin and Cheng, "Start-time Fair Queueing", IEEE/ACM Transactions on Networking 5(5),
1997): work is served in the order of its tags. The tags of one caller increase by the cost of its work, so a caller
that sends much gets high tags; a caller without waiting work starts at the tag that is served now. With one caller the
order is first in, first out.
"""

from collections import Counter

FREE_SPACE_FACTOR = 3
"""The waiting work of one caller may be at most this multiple of the free space: a single caller can fill three
quarters of a queue, and the next caller still finds space (dynamic thresholds: Choudhury and Hahne, "Dynamic Queue
Length Thresholds for Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking 6(2), 1998)."""


class FairQueue:
    """Assigns tags and counts the waiting cost per caller. The user chooses the unit of cost."""

    def __init__(self) -> None:
        self.total = 0
        self._served_tag = 0
        self._next_tag: dict[str | None, int] = {}
        self._waiting: Counter[str | None] = Counter()

    @property
    def callers(self) -> int:
        """Number of callers with waiting work."""
        return len(self._waiting)

    def add(self, caller: str | None, cost: int) -> int:
        """Add work of this cost. Returns its tag: the lowest tag is to be served first."""
        tag = max(self._served_tag, self._next_tag.get(caller, 0))
        self._next_tag[caller] = tag + cost
        self._waiting[caller] += cost
        self.total += cost
        return tag

    def serve(self, tag: int) -> None:
        """The work with this tag starts now; `remove` must follow."""
        self._served_tag = max(self._served_tag, tag)

    def remove(self, caller: str | None, cost: int) -> None:
        """The work does not wait any more. An empty queue forgets the past shares of all callers."""
        self.total -= cost
        self._waiting[caller] -= cost
        if not self._waiting[caller]:
            del self._waiting[caller]
        if not self.total:
            self._next_tag.clear()
            self._served_tag = 0

    def waiting_cost(self, caller: str | None) -> int:
        """Cost of this caller's waiting work."""
        return self._waiting[caller]

    def is_full(self, caller: str | None, limit: int) -> bool:
        """Whether this caller may not add work to a queue with this limit. The cost of the new work does not count, so
        that large and small work have the same chance. The anonymous caller (None) may use the whole queue."""
        free = limit - self.total
        return free <= 0 or (caller is not None and self._waiting[caller] > FREE_SPACE_FACTOR * free)

    def cost_ahead(self, caller: str | None, cost: int = 0) -> int:
        """Cost served before new work of this caller with this cost: all work of the caller, and about the same cost
        (with the new work) of each other caller."""
        own = self._waiting[caller]
        others = sum(min(own + cost, waiting) for name, waiting in self._waiting.items() if name != caller)
        return own + others
