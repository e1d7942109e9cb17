"""The forecast of a first bundle's routing, from a cheap model's answers."""

import numpy as np
import pytest

from training.calibration.predictions import Scored
from training.forecast.routing import _with_encoder


@pytest.mark.parametrize("left", [0.2, 0.4, 0.8])
def test_the_estimated_encoder_has_the_intended_share_of_errors(left: float) -> None:
    """Also with few wrong answers: evidence against right ones must not outweigh the corrections."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 4_000)
    logits = generator.normal(0, 0.35, (4_000, 10)).astype(np.float32)
    logits[np.arange(4_000), labels] += 1.1
    wrong = float((logits.argmax(axis=1) != labels).mean())
    assert 0.05 < wrong < 0.2
    helped = _with_encoder(Scored(logits, labels), left, generator)
    assert (helped.logits.argmax(axis=1) != labels).mean() == pytest.approx(left * wrong, rel=0.1)
