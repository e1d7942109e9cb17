"""Texts that nearly repeat one another: clusters by the Jaccard similarity of their word 3-grams. For `split`.

Exact, by prefix filtering (Bayardo et al., "Scaling Up All Pairs Similarity Search", WWW 2007): no pair at or above the
threshold is missed, as some per cent are with MinHash, and on real tickets it takes no longer.
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
"""Scripts written without spaces (Thai, Lao, kana, Han): each character stands for a word."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def near_duplicate_clusters(texts: Sequence[str], jaccard: float, largest: int) -> list[list[int]]:
    """Clusters of two or more texts, as indices: each text nearly repeats another one of its cluster, and none outside.

    Args:
        texts: as the network sees them.
        jaccard: two texts nearly repeat each other if their sets of word 3-grams overlap at least this much.
        largest: a cluster of more texts is a kind of mail (a form, an alert) that will come again, not copies of one
            ticket; such clusters are not returned.
    """
    rarest_first = _ranked([_shingles(text) for text in texts])
    members = [frozenset(ranks) for ranks in rarest_first]
    clusters = DisjointSet(range(len(texts)))
    index: defaultdict[int, list[int]] = defaultdict(list)
    for number in sorted(range(len(texts)), key=lambda number: len(members[number])):
        own = rarest_first[number]
        # Texts that overlap enough share one of so many rarest 3-grams at the least.
        prefix = own[: len(own) - math.ceil(jaccard * len(own) - _ROUNDING) + 1]
        for other in _indexed(index, prefix):
            if not clusters.connected(number, other) and _overlap(members[number], members[other]) >= jaccard:
                clusters.merge(number, other)
        if clusters.subset_size(number) <= largest:  # else it's no cluster any more: no need to find the rest of it
            for rank in prefix:
                index[rank].append(number)
    return _found(clusters, len(texts), largest)


def _shingles(text: str) -> set[str]:
    """The text's word 3-grams; a shorter text's only shingle is all its words, and one's without words itself."""
    words = _WORD.findall(text.casefold())
    if len(words) < _WORDS:
        return {" ".join(words) or text}
    return {" ".join(words[start : start + _WORDS]) for start in range(len(words) - _WORDS + 1)}


def _ranked(texts: Iterable[set[str]]) -> list[list[int]]:
    """Each text's shingles as numbers, the ones that are rarest among all texts lowest and first."""
    numbers: dict[str, int] = {}
    numbered = [[numbers.setdefault(shingle, len(numbers)) for shingle in text] for text in texts]
    counts = np.bincount(np.fromiter((number for text in numbered for number in text), dtype=np.int64))
    ranks = np.empty(len(counts), dtype=np.int64)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    return [np.sort(ranks[text]).tolist() for text in numbered]


def _indexed(index: defaultdict[int, list[int]], prefix: Sequence[int]) -> set[int]:
    return {number for rank in prefix if rank in index for number in index[rank]}


def _overlap(first: frozenset[int], second: frozenset[int]) -> float:
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def _found(clusters: DisjointSet, texts: int, largest: int) -> list[list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for number in range(texts):
        found[clusters[number]].append(number)
    return [cluster for cluster in found.values() if 2 <= len(cluster) <= largest]
