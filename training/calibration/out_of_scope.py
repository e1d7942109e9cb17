"""Strange mail: the bounds below which a ticket is unlike the training rows, from ordinary mail alone."""

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Scale, ScopeEntry
from models.fields import Field
from models.scoring import Logits, energies, familiarities, scope_scores

_LANGUAGE_SHARE = 0.25
"""Of the refused ordinary mail, the share for foreign wordpieces: scripts and languages lie far below any row."""
_MOST_BELOW = 0.01
"""The largest distance of a bound below the lowest accepted row: another processor rounds differently."""
_LEAST_DEVIATION = 1e-6


def fit_scope(logits: Logits, field: Field, refused: float) -> ScopeEntry | None:
    """The highest bounds that refuse at most the share `refused` of these rows; None if there are no rows, or it is 0.

    Args:
        logits: of ordinary rows, with the novelty scores, [rows, labels of all fields + 2].
        field: the department.
        refused: the largest share that may be refused.
    """
    if not refused or not len(logits):
        return None
    similarity, energy = _scale(logits[:, -1]), _scale(energies(logits, field))
    scores = scope_scores(logits, field, (similarity.mean, similarity.deviation), (energy.mean, energy.deviation))
    return ScopeEntry(
        language=_bound(familiarities(logits), refused * _LANGUAGE_SHARE),
        similarity=similarity,
        energy=energy,
        threshold=_bound(scores, refused * (1 - _LANGUAGE_SHARE)),
        refused=refused,
    )


def _scale(scores: NDArray[np.floating]) -> Scale:
    values = np.asarray(scores, np.float64)
    return Scale(mean=float(values.mean()), deviation=max(float(values.std()), _LEAST_DEVIATION))


def _bound(scores: NDArray[np.float64], refused: float) -> float:
    """The highest bound with at most this share of the scores below it, between two scores."""
    rising = np.sort(scores)
    number = int(refused * len(rising))
    below = rising[number - 1] if number else -np.inf
    return float(rising[number] - min((rising[number] - below) / 2, _MOST_BELOW))
