"""Related rows (a thread, near-duplicates, a requester) → groups that `draw` never divides."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from email.utils import parseaddr

from scipy.cluster.hierarchy import DisjointSet

from training.data.example import Example
from training.data.near_duplicates import near_duplicate_clusters

_LARGEST_SHARE = 0.05
_LARGEST_ROWS = 20


def largest_group(rows: int) -> int:
    """The largest group: 5 % of all rows (a larger group would distort every part), but never less than a few rows."""
    return max(_LARGEST_ROWS, int(rows * _LARGEST_SHARE))


def near_duplicates(rows: Sequence[Example], similarity: float) -> list[list[Example]]:
    """Clusters of near-duplicates, as in `near_duplicate_clusters`; none is larger than a group may be."""
    clusters = near_duplicate_clusters([item.text for item in rows], similarity, largest_group(len(rows)))
    return [[rows[number] for number in cluster] for cluster in clusters]


def tied_groups(
    rows: Sequence[Example], clusters: Sequence[Sequence[Example]], *, requesters: bool
) -> list[list[Example]]:
    """Every row in one group, in the rows' order; most groups are single rows.

    Rows are joined by the strongest reason first: thread, near-duplicates, requester. A join that would make a group
    too large is skipped: the sender of alerts or forms, a thread column with a single value, a long chain.

    Args:
        rows: the rows.
        clusters: near-duplicates, of these rows or of others.
        requesters: also join the rows of a requester.
    """
    place = {item.line: number for number, item in enumerate(rows)}
    copies = [[place[item.line] for item in cluster if item.line in place] for cluster in clusters]
    tied = [*_same(rows, lambda item: item.thread), *copies, *(_same(rows, _requester) if requesters else ())]
    largest = largest_group(len(rows))
    groups = DisjointSet(range(len(rows)))
    for members in tied:
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
