"""The weight of the n-grams' logits beside the encoder's, from the validation rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from training.data.prepared import MISSING

_LEAST = 1e-3
"""The smallest factor of the encoder: the n-grams' share is relative to it."""


class NgramShare(NamedTuple):
    """`factor` on the n-grams' logits, relative to the encoder's; `loss` of the rows with it: the mean negative
    log-likelihood in nats, at the best temperature."""

    factor: float
    loss: float


def fit_ngram_share(encoder: NDArray[np.float32], ngrams: NDArray[np.float32], labels: NDArray[np.int64]) -> NgramShare:
    """The factor on the n-grams' logits with the lowest negative log-likelihood; 0 if they do not help.

    The encoder's logits keep their scale; the field's temperature is fitted to the sum afterwards. The n-grams help if
    their mean gain of log-likelihood per row exceeds its standard error: a smaller gain can be chance.

    Args:
        encoder: one field's logits, [rows, labels of the field].
        ngrams: likewise, of the n-gram model.
        labels: [rows]; MISSING if the row has no label.
    """
    present = labels != MISSING
    if not present.any():
        return NgramShare(0.0, 0.0)
    both = np.stack([encoder[present], ngrams[present]]).astype(np.float64)
    wanted = labels[present]
    alone, together = _fitted(both[:1], wanted), _fitted(both, wanted)
    likely_alone, likely = _log_likelihood(both[:1], alone, wanted), _log_likelihood(both, together, wanted)
    gain = likely - likely_alone
    if together[1] <= 0 or gain.mean() <= gain.std() / np.sqrt(len(gain)):
        return NgramShare(0.0, float(-likely_alone.mean()))
    return NgramShare(float(together[1] / together[0]), float(-likely.mean()))


def _fitted(logits: NDArray[np.float64], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """One factor per model, [models], from logits [models, rows, labels]: a convex problem."""

    def loss(factors: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = log_softmax(np.tensordot(factors, logits, 1), axis=1)
        errors = np.exp(scores)
        errors[np.arange(len(wanted)), wanted] -= 1
        slopes = (logits * errors).sum(axis=(1, 2)) / len(wanted)
        return float(-scores[np.arange(len(wanted)), wanted].mean()), slopes

    start = np.ones(len(logits))
    bounds = [(_LEAST, None), *[(0.0, None)] * (len(logits) - 1)]
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _log_likelihood(
    logits: NDArray[np.float64], factors: NDArray[np.float64], wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Each row's log-likelihood, [rows]."""
    return np.asarray(log_softmax(np.tensordot(factors, logits, 1), axis=1)[np.arange(len(wanted)), wanted])
