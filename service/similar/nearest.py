"""The nearest of many vectors: a product of a matrix with a vector.

Of many rows, the matrix has the vectors' first principal axes only: a third to a sixth of the memory to read, which is
what a search costs. The best of these are compared in full.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.index_file import Vectors

ALL_ROWS = 20_000
"""Up to so many are compared in full."""
AXES = 128
CANDIDATES = 1000
"""Of banking77's 10,000 rows, 200 had the true twenty nearest in all searches."""
_STEP = 10_000


@dataclass(frozen=True, slots=True)
class Nearest:
    """`ids`: of the vectors, [rows, width], of unit length. `axes`: [width, AXES], with the vectors along them in
    `along`, [rows, AXES]; None: all are compared in full."""

    ids: Sequence[str]
    vectors: Vectors
    axes: Vectors | None = None
    along: Vectors | None = None

    @classmethod
    def over(cls, ids: Sequence[str], vectors: Vectors) -> Self:
        """Takes a second for 100,000: call it in a thread."""
        rows, width = vectors.shape
        if rows <= ALL_ROWS or width <= AXES:
            return cls(ids, vectors)
        sample = vectors[:: rows // ALL_ROWS]
        _, axes = np.linalg.eigh(sample.T @ sample)  # ascending
        axes = np.ascontiguousarray(axes[:, -AXES:], dtype=np.float32)
        along = np.empty((rows, AXES), dtype=np.float32)
        for start in range(0, rows, _STEP):
            along[start : start + _STEP] = vectors[start : start + _STEP] @ axes
        return cls(ids, vectors, axes, along)

    def of(self, vector: Vectors, count: int) -> list[tuple[str, float]]:
        """Ids and cosines of the nearest ones, nearest first. Some milliseconds for 100,000: call it in a thread."""
        if not len(self.ids) or vector.shape[-1] != self.vectors.shape[1]:
            return []
        if self.axes is None or self.along is None:
            rows, cosines = np.arange(len(self.ids)), self.vectors @ vector
        else:
            rows = _greatest(self.along @ (vector @ self.axes), CANDIDATES)
            cosines = self.vectors[rows] @ vector
        best = _greatest(cosines, count)
        best = best[np.argsort(-cosines[best], kind="stable")]
        return [(self.ids[rows[each]], float(cosines[each])) for each in best]


def _greatest(values: Vectors, count: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The places of the greatest ones, in no order."""
    count = min(count, len(values))
    return np.argpartition(-values, count - 1)[:count]


def varied(labels: Sequence[str], count: int, most: int) -> list[int]:
    """The places of `count` of these, in their order: the first ones, but at most so many of one label while there are
    others."""
    taken: Counter[str] = Counter()
    first, further = list[int](), list[int]()
    for place, label in enumerate(labels):
        (first if taken[label] < most else further).append(place)
        taken[label] += 1
    return sorted([*first, *further][:count])
