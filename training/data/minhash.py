"""About how many texts are near copies of another: MinHash (Broder 1997) in bands, with bounded memory.

`near_duplicates` is exact and holds every 3-gram; this estimate is for `training check`, which sees millions of rows.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from training.data.near_duplicates import WORD

_BANDS, _ROWS = 12, 6
"""Two texts meet in a band with a probability of 1 - (1 - s^6)^12: .97 at a similarity of .8, .07 at .43."""
_MOST_WORDS = 400
_GENERATOR = np.random.default_rng(1)
_FACTORS = _GENERATOR.integers(1, 2**62, _BANDS * _ROWS, dtype=np.uint64) * 2 + 1
_SHIFT = np.uint64(33)


def near_copies(texts: Iterable[str], similarity: float = 0.8) -> list[list[int]]:
    """Groups of two or more texts, as indices, each a likely near copy of the group's first; largest first."""
    signatures = np.array([_signature(text) for text in texts], dtype=np.uint32)
    if not len(signatures):
        return []
    head = np.full(len(signatures), -1, dtype=np.int64)
    for band in range(_BANDS):
        part = np.ascontiguousarray(signatures[:, band * _ROWS : (band + 1) * _ROWS])
        keys = part.view(f"V{4 * _ROWS}").ravel()
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        heads = first[inverse]
        later = np.flatnonzero((heads != np.arange(len(keys))) & (head == -1))
        alike = (signatures[later] == signatures[heads[later]]).mean(axis=1) >= similarity
        head[later[alike]] = heads[later[alike]]
    groups: dict[int, list[int]] = defaultdict(list)
    for index in np.flatnonzero(head >= 0).tolist():
        root = index
        while head[root] >= 0:
            root = int(head[root])
        groups[root].append(index)
    return sorted(([root, *members] for root, members in groups.items()), key=lambda group: (-len(group), group[0]))


def _signature(text: str) -> NDArray[np.uint32]:
    words = WORD.findall(text[: 10 * _MOST_WORDS].casefold())[:_MOST_WORDS]
    hashes = np.array([zlib.crc32(word.encode("utf-8", "replace")) for word in words] or [0], dtype=np.uint64)
    if len(hashes) >= 3:
        hashes = (hashes[:-2] * np.uint64(31) + hashes[1:-1]) * np.uint64(1_000_003) + hashes[2:]
    else:
        hashes = hashes.sum(keepdims=True)
    mixed = (hashes ^ (hashes >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray(((mixed[:, None] * _FACTORS) >> _SHIFT).min(axis=0), dtype=np.uint32)
