"""Near-duplicate texts: clusters by the Jaccard similarity of their word 3-grams. Used by `split`.

Exact, by prefix filtering (Bayardo et al., "Scaling Up All Pairs Similarity Search", WWW 2007): every pair at or above
the threshold is found, where MinHash misses some per cent, and on real tickets it is no slower.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

_WORDS = 3
_ROUNDING = 1e-9
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts without spaces (Thai, Lao, kana, Han): each character counts as a word."""
WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def near_duplicate_clusters(texts: Sequence[str], jaccard: float, largest: int) -> list[list[int]]:
    """Clusters of two or more texts, as indices: each text is a near-duplicate of another text of its own cluster only.

    Args:
        texts: the network's input.
        jaccard: two texts are near-duplicates if their sets of word 3-grams overlap at least this much.
        largest: a larger cluster is a kind of mail (a form, an alert) that will arrive again, not copies of one ticket;
            it is not returned.
    """
    rarest_first = _ranked([_shingles(text) for text in texts])
    members = [frozenset(ranks) for ranks in rarest_first]
    clusters = DisjointSet(range(len(texts)))
    index: defaultdict[int, list[int]] = defaultdict(list)
    for number in sorted(range(len(texts)), key=lambda number: len(members[number])):
        own = rarest_first[number]
        # Two texts with enough overlap share at least one of this many rarest 3-grams.
        prefix = own[: len(own) - math.ceil(jaccard * len(own) - _ROUNDING) + 1]
        for other in {candidate for rank in prefix if rank in index for candidate in index[rank]}:
            if clusters.connected(number, other):
                continue
            shared = len(members[number] & members[other])
            if shared / (len(members[number]) + len(members[other]) - shared) >= jaccard:
                clusters.merge(number, other)
        if clusters.subset_size(number) <= largest:  # a larger cluster is dropped: skip the rest
            for rank in prefix:
                index[rank].append(number)
    found: dict[int, list[int]] = defaultdict(list)
    for number in range(len(texts)):
        found[clusters[number]].append(number)
    return [cluster for cluster in found.values() if 2 <= len(cluster) <= largest]


def _shingles(text: str) -> set[str]:
    """The text's word 3-grams; for a shorter text, all its words as one; for a text without words, the text itself."""
    words = WORD.findall(text.casefold())
    if len(words) < _WORDS:
        return {" ".join(words) or text}
    return {" ".join(words[start : start + _WORDS]) for start in range(len(words) - _WORDS + 1)}


def _ranked(texts: Iterable[set[str]]) -> list[list[int]]:
    """Each text's shingles as numbers, sorted; the rarest shingles of all texts have the lowest numbers."""
    numbers: dict[str, int] = {}
    numbered = [[numbers.setdefault(shingle, len(numbers)) for shingle in text] for text in texts]
    counts = np.bincount(np.fromiter((number for text in numbered for number in text), dtype=np.int64))
    ranks = np.empty(len(counts), dtype=np.int64)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    return [np.sort(ranks[text]).tolist() for text in numbered]
