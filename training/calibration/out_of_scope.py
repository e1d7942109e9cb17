"""Out of scope: the score below which a ticket belongs to no department, estimated from ordinary mail alone."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from models.bundle.manifest import ScopeEntry

_MOST_BELOW = 0.01
"""In logits: the largest distance of the threshold below the lowest accepted row."""


def fit_scope(scores: NDArray[np.float64], refused: float, confidence: float) -> ScopeEntry | None:
    """The highest threshold that refuses at most the share `refused` of ordinary mail; None: too few rows, or 0.

    The share below the k-th lowest of n scores follows Beta(k, n + 1 - k) for any distribution of the scores (Wilks
    1941;
    Vovk, "Conditional validity of inductive conformal predictors", 2012): k is the largest value that keeps the share
    at
    or under `refused` with probability `confidence`.

    Args:
        scores: scores of ordinary rows, [rows]; a low score means unusual.
        refused: the largest share that may be refused.
        confidence: the required probability of that, over the draw of the rows.
    """
    ranks = np.arange(1, len(scores) + 1)
    allowed = int((binom.cdf(ranks - 1, len(scores), refused) <= 1 - confidence).sum())
    if not refused or not allowed:
        return None
    rising = np.sort(scores)
    # Below the row's own score: a threshold equal to the score would flip the verdict by another processor's rounding.
    below = rising[allowed - 2] if allowed > 1 else -np.inf
    threshold = rising[allowed - 1] - min((rising[allowed - 1] - below) / 2, _MOST_BELOW)
    return ScopeEntry(score="centred_energy", threshold=float(threshold), refused=refused)
