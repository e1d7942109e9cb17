"""How long training takes here: the machine's speed is measured with a matrix product, the work counted in tokens."""

import os
import time
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from training.evaluation.robustness.behavioural import CHANGES, RUN_LIMIT
from training.recipe import Recipe

_TOKENS_PER_WORD = 1.35
_FRAME_TOKENS = 50
_ENCODER = 2 * 10.6e6
"""Operations per token through the embedded base: two per weight outside the embeddings."""
_BACKWARD = 2.0
_EFFICIENCY = 0.74
"""Of the matrix product's speed, by runs whose minutes are in docs/results.md."""
_FP32 = 1.6
"""A pass outside fine-tuning costs this much more per token, since it is in fp32."""
_SUSPECTS = 2.5e-6
"""Seconds per word of the training rows and label for the list of suspect labels."""
_BEHAVIOUR_ROWS = RUN_LIMIT * len(CHANGES)
_QUICK_ANSWERS = 0.9
"""Passes of fp32 over all rows that a quick run's export costs: int8 answers all but the test's, at half the cost; fp32
the planning rows and the test's."""
_FULL_ANSWERS = 1.0
"""Of a full run's: fp32, both int8 graphs and fp16, which is slow on a CPU, answer three rows of ten."""
_FIXED = 30.0
_SECONDS = 0.3
_ROWS, _WIDTH = 128, 384


def training_minutes(texts: Sequence[str], rows: int, labels: int, recipe: Recipe) -> tuple[float, float]:
    """Minutes of a quick run and of a full one, from the embedded base.

    Args:
        texts: a sample of the cleaned texts.
        rows: rows of the file.
        labels: departments.
        recipe: of the run.
    """
    words = np.array([len(text.split()) for text in texts[:5_000]] or [0])
    mean = float(np.minimum(words * _TOKENS_PER_WORD + 2, recipe.max_tokens).mean())
    tokens, framed = rows * mean, rows * (mean + recipe.data.mail_frames * _FRAME_TOKENS)
    suspects = _FIXED + _SUSPECTS * 0.7 * rows * float(words.mean()) * labels
    per_second = _speed() / _ENCODER
    checked = _BEHAVIOUR_ROWS * mean
    quick = _FP32 * (0.9 * framed + _QUICK_ANSWERS * tokens + checked) / per_second
    epochs = recipe.epochs * 0.7 * framed * (1 + _BACKWARD)
    full = (epochs + _FP32 * (0.7 * framed + _FULL_ANSWERS * tokens + checked)) / per_second
    return (suspects + quick) / 60, (suspects + full) / 60


def _speed() -> float:
    """Operations per second that training reaches here: one core's, measured in moments without other work, times the
    cores."""
    generator = np.random.default_rng(0)
    left, right = (generator.random(shape, dtype=np.float32) for shape in ((_ROWS, _WIDTH), (_WIDTH, _WIDTH)))
    best, ends = float("inf"), time.perf_counter() + _SECONDS
    with threadpool_limits(1):
        while best == float("inf") or time.perf_counter() < ends:
            started = time.perf_counter()
            left @ right
            best = min(best, time.perf_counter() - started)
    return _EFFICIENCY * 2 * _ROWS * _WIDTH**2 / best * len(os.sched_getaffinity(0))
