"""Selects the waiting entries that run together: pure bookkeeping, no clock, no threads, no asyncio.

`batcher.py` takes a batch whenever a runner is free. A batch always contains the first entry of the queue, so no entry
starves; entries of the nearest padded lengths fill the rest, because batching saves little and padding costs fully.
`fair_queue.py` orders callers fairly; the entries of one caller stay in the order of arrival.
"""

import math
from bisect import bisect_left, insort
from dataclasses import dataclass
from itertools import count
from typing import Generic, Protocol, TypeVar

from service.inference.fair_queue import FairQueue


class Sized(Protocol):
    @property
    def length(self) -> int:
        """Padded length in tokens, without other entries."""
        ...


E = TypeVar("E", bound=Sized)
MAX_BATCHES_AHEAD = 4
"""While several callers wait, an entry may run at most this many batches before its fair position: otherwise a caller
whose tickets fit into every batch would get far more than its share."""
_Position = tuple[int, int]
"""A tag of `FairQueue` and the arrival number."""


@dataclass(frozen=True, slots=True)
class Packing:
    """The limits of one batch.

    Args:
        max_tokens: upper limit of rows x padded length, except for a batch of one longer entry.
        max_padding: largest share of padding, 0…1, in those tokens.
        multiple: lengths are padded to a multiple of this.
    """

    max_tokens: int
    max_padding: float
    multiple: int = 1


class WaitingEntries(Generic[E]):
    """The waiting entries, ordered by position: one list of all, and one per padded length.

    Sorted lists: a queue holds some thousands of entries at most, and moving so many pointers costs less than a tree.
    """

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._fair_queue = FairQueue()
        self._numbers = count()
        self._slots: dict[int, _Slot] = {}
        self._order: list[tuple[_Position, E]] = []
        self._by_length: dict[int, list[tuple[_Position, E]]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, entry: E) -> bool:
        return id(entry) in self._slots

    @property
    def tokens(self) -> int:
        return self._fair_queue.total

    def tokens_of(self, caller: str | None) -> int:
        """Waiting tokens of one caller."""
        return self._fair_queue.waiting_cost(caller)

    def is_full(self, caller: str | None, limit: int) -> bool:
        """Whether this caller may not add entries, with a limit of `limit` tokens for all callers."""
        return self._fair_queue.is_full(caller, limit)

    def tokens_ahead(self, caller: str | None, length: int = 0) -> int:
        """Tokens that run before a new entry of this caller with this length."""
        return self._fair_queue.cost_ahead(caller, length)

    def add(self, entry: E, caller: str | None = None) -> None:
        # The arrival number keeps the entries of one caller in order and makes every position unique.
        position = (self._fair_queue.add(caller, entry.length), next(self._numbers))
        self._slots[id(entry)] = _Slot(position, caller)
        insort(self._order, (position, entry))  # no two positions are equal, so entries are never compared
        insort(self._by_length.setdefault(entry.length, []), (position, entry))

    def discard(self, entry: E) -> bool:
        """Remove an entry; False if it does not wait."""
        slot = self._slots.pop(id(entry), None)
        if slot is None:
            return False
        same_length = self._by_length[entry.length]
        for entries in (self._order, same_length):
            del entries[bisect_left(entries, (slot.position,))]
        if not same_length:
            del self._by_length[entry.length]
        self._fair_queue.remove(slot.caller, entry.length)
        return True

    def take(self, runners: int) -> list[E]:
        """The next batch, with this many free runners, which share the waiting tokens equally."""
        (tag, _), first = self._order[0]
        self._fair_queue.serve(tag)
        max_tokens = self._packing.max_tokens
        latest_tag = tag + MAX_BATCHES_AHEAD * max_tokens if self._fair_queue.callers > 1 else math.inf
        max_tokens = min(max_tokens, -(-self.tokens // runners))
        batch, longest, unpadded = [first], first.length, first.length
        for length in sorted(self._by_length, key=lambda length: (abs(length - first.length), length)):
            for (tag, _), entry in self._by_length[length]:
                if entry is first:
                    continue
                if tag > latest_tag:
                    break
                tokens = (len(batch) + 1) * max(longest, length)
                if tokens > max_tokens or tokens - unpadded - length > self._packing.max_padding * tokens:
                    break
                batch.append(entry)
                longest, unpadded = max(longest, length), unpadded + length
        for entry in batch:
            self.discard(entry)
        return batch

    def take_all(self) -> list[E]:
        entries = [entry for _, entry in self._order]
        for entry in entries:
            self.discard(entry)
        return entries


@dataclass(frozen=True, slots=True)
class _Slot:
    position: _Position
    caller: str | None
