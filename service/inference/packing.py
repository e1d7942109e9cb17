"""Which waiting entries run together: pure bookkeeping, no clock, no threads, no asyncio.

`batcher.py` asks for a batch whenever a runner is free. The entry whose turn it is always goes along, so nothing
starves; the rest of the room goes to entries of the nearest padded lengths, because a batch saves little and padding
costs fully. `fair_queue.py` is fair between callers; entries of one caller come in the order of arrival.
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
        """Padded length in tokens when it stands alone."""
        ...


E = TypeVar("E", bound=Sized)
AHEAD_OF_TURN = 4
"""Where several callers wait, only what is this many batches ahead of its turn may fill one up: otherwise who sends
tickets that fit everybody's would get far more than a share."""
_Turn = tuple[int, int]
"""A tag of `FairQueue` and the number of arrival."""


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
    """Entries in order of their turns, all and by padded length.

    Sorted lists: a queue holds some thousands at most, and moving so many pointers costs less than any tree would.
    """

    def __init__(self, packing: Packing) -> None:
        self._packing = packing
        self._fair_queue = FairQueue()
        self._numbers = count()
        self._places: dict[int, _Place] = {}
        self._order: list[tuple[_Turn, E]] = []
        self._by_length: dict[int, list[tuple[_Turn, E]]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, entry: E) -> bool:
        return id(entry) in self._places

    @property
    def tokens(self) -> int:
        return self._fair_queue.total

    def of(self, caller: str | None) -> int:
        """Tokens of one caller's that wait."""
        return self._fair_queue.waiting(caller)

    def full(self, caller: str | None, limit: int) -> bool:
        """Whether nothing more of this caller's may wait, where so many tokens may in all."""
        return self._fair_queue.full(caller, limit)

    def ahead(self, caller: str | None, length: int = 0) -> int:
        """Tokens that will be run before an entry of this length that this caller would add now."""
        return self._fair_queue.ahead(caller, length)

    def add(self, entry: E, caller: str | None = None) -> None:
        # The number keeps one caller's in order, and no two turns are equal.
        turn = (self._fair_queue.begin(caller, entry.length), next(self._numbers))
        self._places[id(entry)] = _Place(turn, caller)
        insort(self._order, (turn, entry), key=_turn_of)
        insort(self._by_length.setdefault(entry.length, []), (turn, entry), key=_turn_of)

    def discard(self, entry: E) -> bool:
        """Take an entry out; False when it did not wait (any more)."""
        place = self._places.pop(id(entry), None)
        if place is None:
            return False
        same_length = self._by_length[entry.length]
        for line in (self._order, same_length):
            del line[bisect_left(line, place.turn, key=_turn_of)]
        if not same_length:
            del self._by_length[entry.length]
        self._fair_queue.leave(place.caller, entry.length)
        return True

    def take(self, runners: int) -> list[E]:
        """The next batch, when this many runners are free: they share the work rather than one taking all of it."""
        (tag, _), first = self._order[0]
        self._fair_queue.serve(tag)
        room = min(self._packing.max_tokens, -(-self.tokens // runners))
        batch = self._gather(first, room, self._latest(tag))
        for entry in batch:
            self.discard(entry)
        return batch

    def take_all(self) -> list[E]:
        entries = [entry for _, entry in self._order]
        for entry in entries:
            self.discard(entry)
        return entries

    def _latest(self, tag: int) -> float:
        """The last tag that may go along with this one."""
        return tag + AHEAD_OF_TURN * self._packing.max_tokens if self._fair_queue.callers > 1 else math.inf

    def _gather(self, first: E, room: int, latest: float) -> list[E]:
        batch, longest, own = [first], first.length, first.length
        for length in sorted(self._by_length, key=lambda length: (abs(length - first.length), length)):
            for (tag, _), entry in self._by_length[length]:
                if entry is first:
                    continue
                if tag > latest:
                    break
                tokens = (len(batch) + 1) * max(longest, length)
                if tokens > room or tokens - own - length > self._packing.max_padding * tokens:
                    break
                batch.append(entry)
                longest, own = max(longest, length), own + length
        return batch


@dataclass(frozen=True, slots=True)
class _Place:
    turn: _Turn
    caller: str | None


def _turn_of(waiting: tuple[_Turn, object]) -> _Turn:
    return waiting[0]
