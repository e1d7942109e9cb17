"""The forecast of a first bundle, before anything is trained: the out-of-fold answers of a cheap model are split into
the parts of a run many times (Monte Carlo), and each time the thresholds are set as the run would set them.

The cheap model is the TF-IDF baseline with five folds. What the encoder knows beyond it is added as evidence for the
right labels, by a rule from measured runs; the interval includes the uncertainty of the rule (docs/results.md has the
check against bundles).
"""

import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Frozen
from models.fields import DEPARTMENT, Field
from models.scoring import Outcome
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored, outcomes_of
from training.calibration.threshold_tests import allowed_errors, chance_to_pass
from training.data.draw import wanted_shares
from training.evaluation.intervals import Estimate, share
from training.evaluation.metrics import UNKNOWN
from training.forecast.duration import training_minutes
from training.recipe import Recipe

TARGETS = (0.90, 0.95)
FOLDS = 5
MOST_ROWS = 10_000
"""More rows are a sample: seconds, not minutes."""
_FEWEST_ROWS = 60
_SIMULATIONS = 40
_POWER = 0.8
_USEFUL = 0.25
"""Routing fewer of the tickets than this is not worth the wait for more."""
_MOST_TICKETS = 200_000
_PRIOR_ROWS = 20
_SUSPECTS = 50
_ERROR_LEFT = ((8.0, 0.38), (150.0, 0.85))
"""By words of a text, from quick runs of banking77, clinc150 and cfpb7 (docs/results.md); between them by logarithm."""
_ERROR_SPREAD = 0.25
"""The largest deviation of another helpdesk's share from it."""
_EVIDENCE_SPREAD = 0.5
"""Of the encoder's evidence for a label, around a mean of 1. With a spread of 1, a sixth of the evidence is against the
right label, and more of it leaves more errors instead of fewer."""
_LEAST_MARGIN = 0.7
"""Between the answer's decision value and the label's: about one on either side of the boundary is certain."""


class RoutedShare(Frozen):
    """The share that a first bundle will route at a promised precision."""

    target: float
    routed: Estimate
    """Mean over the simulations; the interval holds 19 of 20 of them."""
    nothing: float
    """Share of the simulations that route nothing at all."""
    needed: int | None
    """Tickets with which a quarter is routed at this promise in four runs of five, if those to come are like these;
    None: not by more tickets alone."""


@dataclass(frozen=True, slots=True)
class SuspectLabel:
    """A row, by its number, with a label far from the cheap model's answer."""

    row: int
    suggested: str


class Forecast(Frozen):
    """The forecast of a first bundle."""

    rows: int
    """Rows that it rests on: a sample if there are more."""
    accuracy: Estimate
    """Of the cheap model, out of fold."""
    routed: tuple[RoutedShare, ...]
    quick_minutes: float
    full_minutes: float
    """Of training on this machine, with and without `--quick`, from the embedded base."""
    seconds: float


def forecast(
    texts: Sequence[str], labels: Sequence[str], recipe: Recipe, total: int | None = None
) -> tuple[Forecast | None, list[SuspectLabel]]:
    """
    Args:
        texts: distinct texts, cleaned.
        labels: their departments.
        recipe: of the run; its minimum of rows per label, split and promise.
        total: tickets of the file, if these are a sample of them.

    Returns:
        The forecast (None: too few rows, or fewer than two labels that can be learned), and labels to look at.
    """
    started = time.monotonic()
    total, chosen = total or len(texts), list(range(len(texts)))
    if len(texts) > MOST_ROWS:
        chosen = sorted(random.Random(recipe.seed).sample(range(len(texts)), MOST_ROWS))
        texts, labels = [texts[row] for row in chosen], [labels[row] for row in chosen]
    # A run does not learn a label with too few training rows, and gives its rows no label.
    training = 1 - sum(wanted_shares(recipe.split, total).values())
    least = max(FOLDS, (recipe.data.minimum_rows - 0.5) / training * len(labels) / total)
    known = sorted(label for label, count in Counter(labels).items() if count >= least)
    number = {label: place for place, label in enumerate(known)}
    wanted = np.array([number.get(label, UNKNOWN) for label in labels], dtype=np.int64)
    if len(known) < 2 or len(texts) < _FEWEST_ROWS:
        return None, []
    logits = _out_of_fold(texts, wanted, len(known), recipe.seed)
    if logits is None:
        return None, []
    scored = Scored(logits, wanted)
    right = int((logits.argmax(axis=1) == wanted).sum())
    accuracy = share(right, len(wanted))
    assert accuracy is not None
    quick, full = training_minutes(texts, total, len(known), recipe)
    found = Forecast(
        rows=len(texts),
        accuracy=accuracy,
        routed=tuple(_routed(scored, known, target, recipe, total, _error_left(texts)) for target in TARGETS),
        quick_minutes=quick,
        full_minutes=full,
        seconds=time.monotonic() - started,
    )
    # Suspect labels: the rows whose label is far from the answer, the farthest first.
    rows = np.flatnonzero(wanted != UNKNOWN)
    answers = logits[rows].argmax(axis=1)
    margins = logits[rows].max(axis=1) - logits[rows, wanted[rows]]
    order = np.argsort(-margins, kind="stable")[:_SUSPECTS]
    suspects = [
        SuspectLabel(chosen[rows[place]], known[answers[place]]) for place in order if margins[place] >= _LEAST_MARGIN
    ]
    return found, suspects


def _error_left(texts: Sequence[str]) -> float:
    """The share of the cheap model's errors that a quick bundle still makes: the shorter the texts, the more the
    encoder knows beyond their words."""
    words = float(np.median([len(text.split()) for text in texts]))
    (short, least), (long, most) = _ERROR_LEFT
    place = np.clip(np.log(max(words, 1) / short) / np.log(long / short), 0, 1)
    return float(least + place * (most - least))


def _out_of_fold(texts: Sequence[str], wanted: NDArray[np.int64], labels: int, seed: int) -> NDArray[np.float32] | None:
    """Every row's decision values by a model that has not seen it, [rows, labels]; None: the texts hold no words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode", min_df=2, dtype=np.float32
    )
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError:  # scikit-learn's "empty vocabulary"
        return None
    # The folds are stratified: the rows of each label are dealt out in turn.
    order = np.random.default_rng(seed).permutation(len(wanted))
    order = order[np.argsort(wanted[order], kind="stable")]
    folds = np.empty(len(wanted), dtype=np.int64)
    folds[order] = np.arange(len(wanted)) % FOLDS
    found = np.zeros((len(texts), labels), dtype=np.float32)
    for fold in range(FOLDS):
        learned = (folds != fold) & (wanted != UNKNOWN)
        model: Any = LinearSVC(random_state=seed).fit(features[learned], wanted[learned])
        values = model.decision_function(features[folds == fold])
        values = np.stack([-values, values], axis=1) if values.ndim == 1 else values
        found[np.ix_(np.flatnonzero(folds == fold), model.classes_)] = values
    return found


def _routed(
    scored: Scored, known: Sequence[str], target: float, recipe: Recipe, total: int, error_left: float
) -> RoutedShare:
    """Random splits with as many planning and testing rows as a quick run of `total` tickets; the rest measures."""
    field = Field(DEPARTMENT, tuple(known), 0)
    # The cheap model has no novelty scores: its own strange mail is left out of the result instead.
    promise = recipe.promise.model_copy(update={"aim": "precision", "route_precision": target, "scope_refused": 0.0})
    settings = recipe.model_copy(update={"promise": promise})
    generator = np.random.default_rng(recipe.seed)
    rows = len(scored.labels)
    # A quick run answers all rows but the test out of fold: a third plans, two thirds test.
    answered = (1 - recipe.split.test) * min(total, rows)
    sizes = [int(answered / 3), int(answered * 2 / 3)]
    coverages = []
    for _ in range(_SIMULATIONS):
        encoded = _with_encoder(scored, error_left + generator.uniform(-_ERROR_SPREAD, _ERROR_SPREAD), generator)
        validation, calibration, rest = np.split(generator.permutation(rows), np.cumsum(sizes))
        entry = calibrate_field(field, _part(encoded, validation), _part(encoded, calibration), settings, "measured")
        # As few rows as a run's test has: its figure, with its chance, is what is forecast.
        measured = rest[: max(1, int(total * recipe.split.test))]
        outcomes = outcomes_of(encoded.logits[measured], entry.scoring(field))
        # The share of ordinary mail that the detection refuses is estimated too.
        refused = recipe.promise.scope_refused * generator.uniform(0, 2)
        coverages.append(float((outcomes == Outcome.ROUTE).mean()) * (1 - refused))
    found = np.array(coverages)
    low, high = np.quantile(found, (0.025, 0.975))
    return RoutedShare(
        target=target,
        routed=Estimate(value=float(found.mean()), low=float(low), high=float(high)),
        nothing=float((found == 0).mean()),
        needed=_needed(scored, target, recipe),
    )


def _with_encoder(scored: Scored, error_left: float, generator: np.random.Generator) -> Scored:
    """The cheap model's values with evidence for the right labels, as much as leaves this share of its errors; rows of
    labels that are not learned get it for the answer that they have."""
    rows = np.flatnonzero(scored.labels != UNKNOWN)
    own = scored.labels[rows]
    values = scored.logits[rows].copy()
    right = values[np.arange(len(rows)), own]
    values[np.arange(len(rows)), own] = -np.inf
    margins = right - values.max(axis=1)
    evidence = generator.normal(1, _EVIDENCE_SPREAD, len(rows))
    allowed = error_left * float((margins < 0).mean())
    low, high = 0.0, 4.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if float((margins + middle * evidence < 0).mean()) > allowed else (low, middle)
    logits = scored.logits.copy()
    logits[rows, own] = right + low * evidence
    others = np.flatnonzero(scored.labels == UNKNOWN)
    logits[others, logits[others].argmax(axis=1)] += low * generator.normal(1, _EVIDENCE_SPREAD, len(others))
    return Scored(logits, scored.labels)


def _part(scored: Scored, rows: NDArray[np.int64]) -> Scored:
    return Scored(scored.logits[rows], scored.labels[rows])


def _needed(scored: Scored, target: float, recipe: Recipe) -> int | None:
    """The fewest tickets with calibration rows that prove the target for _USEFUL of the tickets with probability
    _POWER."""
    margins = np.partition(scored.logits, -2, axis=1)
    order = np.argsort(-(margins[:, -1] - margins[:, -2]), kind="stable")
    right = (scored.logits.argmax(axis=1) == scored.labels)[order]
    accepted = np.unique(np.linspace(_USEFUL, 1, 60) * len(right)).astype(np.int64)
    accepted = accepted[accepted > 0]
    overall = float((~right).mean())
    errors = (np.cumsum(~right)[accepted - 1] + _PRIOR_ROWS * min(overall, 1 - target)) / (accepted + _PRIOR_ROWS)
    shares = accepted / len(right)
    total = 100.0
    while total <= _MOST_TICKETS:
        tested = (shares * total * (1 - recipe.split.test) * 2 / 3).astype(np.int64)
        allowed = allowed_errors(tested, target, 1 - recipe.promise.confidence)
        if chance_to_pass(tested, allowed, errors).max() >= _POWER:
            return round(total, -2 if total >= 1000 else -1)  # type: ignore[return-value]  # a float without decimals
        total *= 1.05
    return None


def missing(needed: int | None, there: int) -> int | None:
    """How many tickets are to be added; None: not by more tickets alone."""
    return None if needed is None else max(0, math.ceil(needed - there))
