"""The weight of the n-grams beside the encoder, and when they are left out."""

import numpy as np
import pytest

from training.calibration.ngram_share import fit_ngram_share
from training.data.prepared import MISSING

GENERATOR = np.random.default_rng(3)
LABELS = GENERATOR.integers(0, 4, size=400)
RIGHT = np.eye(4, dtype=np.float32)[LABELS]


def noisy(signal: float) -> np.ndarray:
    return (signal * RIGHT + GENERATOR.normal(size=RIGHT.shape)).astype(np.float32)


def test_two_independent_views_have_equal_shares() -> None:
    """Equally good: equal shares. The same logits at half the scale: twice the share."""
    encoder, ngrams = noisy(2.0), noisy(2.0)
    assert fit_ngram_share(encoder, ngrams, LABELS).factor == pytest.approx(1.0, abs=0.25)
    assert fit_ngram_share(encoder, ngrams / 2, LABELS).factor == pytest.approx(2.0, abs=0.5)


def test_noise_is_left_out() -> None:
    assert fit_ngram_share(noisy(3.0), noisy(0.0), LABELS).factor == 0


def test_logits_that_contradict_the_labels_are_left_out() -> None:
    """The share is never negative."""
    assert fit_ngram_share(noisy(3.0), -noisy(2.0), LABELS).factor == 0


def test_rows_without_a_label_do_not_count() -> None:
    encoder, ngrams = noisy(2.0), noisy(2.0)
    more = np.concatenate([LABELS, np.full(50, MISSING)])
    strange = np.full((50, 4), 9, np.float32)
    with_more = fit_ngram_share(np.concatenate([encoder, strange]), np.concatenate([ngrams, strange]), more).factor
    assert with_more == pytest.approx(fit_ngram_share(encoder, ngrams, LABELS).factor)
    assert fit_ngram_share(encoder, ngrams, np.full(400, MISSING)).factor == 0
