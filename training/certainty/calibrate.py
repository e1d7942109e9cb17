"""Calibration rows → each field's temperature and thresholds.

Thresholds hold a promise on a finite sample: fixed-sequence testing over ever lower confidences, each tested with the
exact binomial bound (Clopper & Pearson 1934; Angelopoulos et al., "Learn then Test", 2021).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import beta

from models.fields import Field
from models.manifest import FieldEntry, LabelEntry, Promise
from models.scoring import FieldScoring, Logits, Threshold, probabilities
from training.certainty.promise import STARTS, fewest_rows
from training.data.split import MISSING
from training.recipe import PromiseRecipe

_LOG_TEMPERATURE = (-3.0, 3.0)
_STEP = 1.05
"""Each next test accepts this many times more rows: fewer tests, no loss that the bound could see."""


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature with the least negative log-likelihood (Guo et al., ICML 2017); 1 where no row has a label.

    Args:
        logits: one field's, [rows, labels of the field].
        labels: [rows], MISSING where a row has none.
    """
    present = labels != MISSING
    if not present.any():
        return 1.0
    chosen, wanted = logits[present].astype(np.float64), labels[present]

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(chosen / np.exp(log_temperature), axis=1)[np.arange(len(wanted)), wanted].mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))


def calibrate_field(field: Field, logits: Logits, labels: NDArray[np.int64], recipe: PromiseRecipe) -> FieldEntry:
    """One field's entry of the manifest, from the calibration rows' logits [rows, all labels] and labels [rows]."""
    temperature = fit_temperature(logits[:, field.slice], labels)
    present = labels != MISSING
    never = tuple(Threshold(None, None, True) for _ in field.labels)
    confidences = probabilities(logits[present], FieldScoring(field, temperature, never))
    predicted = confidences.argmax(axis=1)
    entries = _label_entries(field, confidences.max(axis=1), predicted, predicted == labels[present], recipe)
    promise = Promise(
        route_precision=recipe.route_precision,
        suggest_precision=recipe.suggest_precision,
        confidence=recipe.confidence,
    )
    return FieldEntry(name=field.name, temperature=temperature, promise=promise, labels=entries)


def _label_entries(
    field: Field,
    confidence: NDArray[np.float64],
    predicted: NDArray[np.int64],
    correct: NDArray[np.bool_],
    recipe: PromiseRecipe,
) -> tuple[LabelEntry, ...]:
    """A label's own threshold where its rows carry one, the rest's pooled one elsewhere."""
    doubt = 1 - recipe.confidence
    own = {}
    for number in range(len(field.labels)):
        rows = predicted == number
        own[number] = lowest_confidence(confidence[rows], correct[rows], recipe.route_precision, doubt)
    rest = np.isin(predicted, [number for number, threshold in own.items() if threshold is None])
    pooled = lowest_confidence(confidence[rest], correct[rest], recipe.route_precision, doubt)
    suggest = lowest_confidence(confidence, correct, recipe.suggest_precision, doubt)
    return tuple(
        LabelEntry(
            name=label,
            route=pooled if own[number] is None else own[number],
            suggest=suggest,
            pooled=own[number] is None,
            calibration_rows=int((predicted == number).sum()),
        )
        for number, label in enumerate(field.labels)
    )


def lowest_confidence(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], precision: float, doubt: float
) -> float | None:
    """The lowest confidence above which `precision` holds, except with probability `doubt`; None: no such.

    Walks from the surest rows down and stops at the first failed test, so testing many thresholds costs nothing; only
    the few places it starts at share `doubt`.

    Args:
        confidence: [rows].
        correct: [rows], whether the prediction was right.
        precision: the share of right answers promised.
        doubt: the probability that the promise may fail with, over the draw of the rows.
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, errors = confidence[order], np.cumsum(~correct[order], dtype=np.int64)
    share = doubt / len(STARTS)
    fewest = fewest_rows(precision, share)
    best = None
    for start in (fewest * multiple for multiple in STARTS):
        accepted = _walk(sorted_confidence, errors, start, precision, share)
        best = accepted if best is None or (accepted is not None and accepted < best) else best
    return best


def _walk(
    confidence: NDArray[np.float64], errors: NDArray[np.int64], start: int, precision: float, doubt: float
) -> float | None:
    """One fixed sequence of tests from `start` rows on; the last passed one's confidence."""
    passed = None
    for count in _counts(start, len(confidence)):
        # All rows of equal confidence are accepted together, so the test must count them together.
        accepted = int(np.searchsorted(-confidence, -confidence[count - 1], side="right"))
        if precision_bound(accepted - int(errors[accepted - 1]), accepted, doubt) < precision:
            break
        passed = float(confidence[count - 1])
    return passed


def _counts(start: int, rows: int) -> Sequence[int]:
    """The row counts a sequence tests: growing by _STEP, at last all rows."""
    counts, count = [], start
    while count <= rows:
        counts.append(count)
        count = max(count + 1, int(count * _STEP))
    return [*counts, rows] if counts and counts[-1] < rows else counts


def precision_bound(right: int, rows: int, doubt: float) -> float:
    """The lower Clopper-Pearson bound of a precision, one-sided, at confidence 1 - doubt."""
    return 0.0 if right == 0 else float(beta.ppf(doubt, right, rows - right + 1))
