"""Which waiting entries run together: pure bookkeeping, no clock, no threads, no asyncio.

`batcher.py` asks for a batch whenever a runner is free. The oldest entry always goes along, so nothing starves; the
rest of the room goes to entries of the nearest padded lengths, because a batch saves little and padding costs fully.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    @property
    def length(self) -> int:
        """Padded length in tokens when it stands alone."""
        ...


E = TypeVar("E", bound=Sized)


@dataclass(frozen=True, slots=True)
class Packing:
    """The limits of one batch.

    Args:
        max_tokens: rows x padded length never exceeds this, except for one entry that alone is longer.
        max_padding: share of those tokens, 0…1, that longer neighbours may add to shorter ones.
    """

    max_tokens: int
    max_padding: float


class Waiting(Generic[E]):
    """Entries in order of arrival, and by padded length. Any entry leaves in constant time.

    `OrderedDict` and not `dict`: taking the first of a dict that had many removed from its front walks their graves.
    """

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._arrivals: OrderedDict[int, E] = OrderedDict()
        self._by_length: dict[int, OrderedDict[int, E]] = {}
        self.tokens = 0

    def __len__(self) -> int:
        return len(self._arrivals)

    def __contains__(self, entry: E) -> bool:
        return id(entry) in self._arrivals

    def add(self, entry: E) -> None:
        self._arrivals[id(entry)] = entry
        self._by_length.setdefault(entry.length, OrderedDict())[id(entry)] = entry
        self.tokens += entry.length

    def discard(self, entry: E) -> bool:
        """Take an entry out; False when it did not wait (any more)."""
        if self._arrivals.pop(id(entry), None) is None:
            return False
        same_length = self._by_length[entry.length]
        del same_length[id(entry)]
        if not same_length:
            del self._by_length[entry.length]
        self.tokens -= entry.length
        return True

    def take(self, runners: int) -> list[E]:
        """The next batch, when this many runners are free: they share the work rather than one taking all of it."""
        oldest = next(iter(self._arrivals.values()))
        room = min(self._packing.max_tokens, -(-self.tokens // runners))
        batch = self._gather(oldest, room)
        for entry in batch:
            self.discard(entry)
        return batch

    def take_all(self) -> list[E]:
        entries = list(self._arrivals.values())
        self._arrivals.clear()
        self._by_length.clear()
        self.tokens = 0
        return entries

    def _gather(self, oldest: E, room: int) -> list[E]:
        batch, longest, own = [oldest], oldest.length, oldest.length
        for length in sorted(self._by_length, key=lambda length: (abs(length - oldest.length), length)):
            for entry in self._by_length[length].values():
                if entry is oldest:
                    continue
                tokens = (len(batch) + 1) * max(longest, length)
                if tokens > room or tokens - own - length > self._packing.max_padding * tokens:
                    break
                batch.append(entry)
                longest, own = max(longest, length), own + length
        return batch
