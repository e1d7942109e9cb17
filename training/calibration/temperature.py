"""Temperature scaling: one number per field that calibrates its probabilities."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from training.data.prepared import MISSING

_LOG_TEMPERATURE = (-3.0, 3.0)


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature with the lowest negative log-likelihood (Guo et al., ICML 2017); 1 if no row has a label.

    Args:
        logits: one field's, [rows, labels of the field].
        labels: [rows]; MISSING if the row has no label.
    """
    present = labels != MISSING
    if not present.any():
        return 1.0
    chosen, wanted = logits[present].astype(np.float64), labels[present]

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(chosen / np.exp(log_temperature), axis=1)[np.arange(len(wanted)), wanted].mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))
