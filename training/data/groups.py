"""Related rows (a thread, near-duplicates, a requester) → groups that `draw` never divides."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email.utils import parseaddr

from scipy.cluster.hierarchy import DisjointSet

from training.data.example import Example

_LARGEST_SHARE = 0.05
_LARGEST_ROWS = 20


@dataclass(frozen=True, slots=True)
class Ties:
    """The reasons for keeping rows together; `near_duplicates` are clusters of row indices."""

    near_duplicates: Sequence[Sequence[int]]
    requesters: bool


def largest_group(rows: int) -> int:
    """The largest group: 5 % of all rows (a larger group would distort every part), but never less than a few rows."""
    return max(_LARGEST_ROWS, int(rows * _LARGEST_SHARE))


def tied_groups(rows: Sequence[Example], ties: Ties) -> list[list[Example]]:
    """Every row in one group, in the rows' order; most groups are single rows.

    Rows are joined by the strongest reason first: thread, near-duplicates, requester. A join that would make a group
    too large is skipped: the sender of alerts or forms, a thread column with a single value, a long chain.
    """
    largest = largest_group(len(rows))
    groups = DisjointSet(range(len(rows)))
    tied = [*_same(rows, lambda item: item.thread), *ties.near_duplicates]
    for members in [*tied, *(_same(rows, _requester) if ties.requesters else ())]:
        roots = {groups[member] for member in members}
        if sum(groups.subset_size(root) for root in roots) <= largest:
            for root in roots:
                groups.merge(members[0], root)
    found: dict[int, list[Example]] = defaultdict(list)
    for number, item in enumerate(rows):
        found[groups[number]].append(item)
    return list(found.values())


def _same(rows: Sequence[Example], key: Callable[[Example], str]) -> Iterable[list[int]]:
    """Indices of the rows that share a key; an empty key joins nothing."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, item in enumerate(rows):
        if name := key(item):
            found[name].append(number)
    return [members for members in found.values() if len(members) > 1]


def _requester(item: Example) -> str:
    """The sender's address, if there is one; otherwise the whole sender."""
    sender = item.ticket.sender
    return (parseaddr(sender)[1] or sender).strip().casefold()
