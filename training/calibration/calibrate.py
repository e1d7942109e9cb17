"""Validation and calibration rows → a field's temperature, scope and thresholds.

The validation rows choose what is tested (temperature, scope, groups, thresholds); the calibration rows are used once,
for the tests. So the guarantee is exact for a finite sample: see `threshold_tests` for the tests and `threshold_plan`
for the choice of tests.
"""

from collections.abc import Sequence

import numpy as np

from models.bundle.manifest import FieldEntry, LabelEntry, Promise, PromiseKind
from models.fields import DEPARTMENT, Field
from models.scoring import FieldScoring, Threshold
from training.calibration.out_of_scope import fit_scope
from training.calibration.predictions import Scored, TopPredictions, top_predictions
from training.calibration.temperature import fit_temperature
from training.calibration.threshold_plan import plan_group, plan_routes
from training.calibration.threshold_tests import lowest_passed, precision_bound
from training.recipe import EffectRecipe, PromiseRecipe, Recipe


def calibrate_field(
    field: Field, validation: Scored, calibration: Scored, recipe: Recipe, kind: PromiseKind
) -> FieldEntry:
    """One field's entry of the manifest.

    Args:
        field: the field, with its labels' columns in the logits.
        validation: rows that may have chosen the model's best epoch; they choose what is tested.
        calibration: rows used nowhere else; the tests use them.
        recipe: the precision targets, and the cost assumptions for `aim = "cost"`.
        kind: exact if the served model gave the logits, measured if models of folds did.
    """
    promise = recipe.promise
    temperature = fit_temperature(validation.logits[:, field.slice], validation.labels)
    scope = fit_scope(validation.logits, field, promise.scope_refused) if field.name == DEPARTMENT else None
    never = (Threshold(None, None, True),) * len(field.labels)
    scoring = FieldScoring(field, temperature, never, scope.bounds() if scope else None)
    planned, tested = top_predictions(validation, scoring), top_predictions(calibration, scoring)
    routes: list[tuple[float | None, bool]]
    if promise.aim == "cost":
        routes = [(route_level(recipe.effect), True)] * len(field.labels)
    else:
        routes = _tested_routes(len(field.labels), planned, tested, promise)
    # Suggestions: a separate test with its own error probability, over all answers at or above the threshold.
    everything, ratio = np.ones(len(field.labels), dtype=bool), len(tested) / max(1, len(planned))
    suggestions = plan_group(everything, planned, ratio, promise.suggest_precision, 1 - promise.confidence)
    suggest = lowest_passed([suggestions], tested, promise.suggest_precision)[0]
    counts = np.bincount(tested.predicted, minlength=len(field.labels))
    labels = tuple(
        LabelEntry(name=label, route=route, suggest=suggest, pooled=pooled, calibration_rows=int(count))
        for label, (route, pooled), count in zip(field.labels, routes, counts, strict=True)
    )
    achieved = _achieved(labels, tested, len(calibration.labelled.labels), promise, kind)
    return FieldEntry(name=field.name, temperature=temperature, scope=scope, promise=achieved, labels=labels)


def _tested_routes(
    labels: int, planned: TopPredictions, tested: TopPredictions, recipe: PromiseRecipe
) -> list[tuple[float | None, bool]]:
    """Each label's route threshold, and whether the label uses the pooled one. A label whose own test failed is not
    automatic: adding it to the pool afterwards would let the calibration rows choose the pool that they test."""
    routes: list[tuple[float | None, bool]] = [(None, True)] * labels
    sequences = plan_routes(labels, planned, len(tested), recipe)
    for sequence, level in zip(sequences, lowest_passed(sequences, tested, recipe.route_precision), strict=True):
        members = np.flatnonzero(sequence.labels)
        for label in members:
            routes[label] = (level, len(members) > 1)
    return routes


def _achieved(
    labels: Sequence[LabelEntry], tested: TopPredictions, rows: int, recipe: PromiseRecipe, kind: PromiseKind
) -> Promise:
    """The requested precision, and the precision that the calibration rows prove."""
    levels = np.array([np.inf if label.route is None else label.route for label in labels])
    routed = tested.confidence >= levels[tested.predicted]
    right, count = int(tested.correct[routed].sum()), int(routed.sum())
    # A tested threshold is proven for the target only. Thresholds of cost mode are fixed before the calibration rows
    # are used, so there the bound itself is valid.
    proven = precision_bound(right, count, 1 - recipe.confidence) if recipe.aim == "cost" else recipe.route_precision
    return Promise(
        kind=kind,
        aim=recipe.aim,
        per_label=recipe.per_label,
        route_precision=recipe.route_precision,
        suggest_precision=recipe.suggest_precision,
        confidence=recipe.confidence,
        achieved_coverage=count / max(1, rows),
        achieved_precision=right / count if count else None,
        achieved_precision_low=proven if count else None,
    )


def route_level(effect: EffectRecipe) -> float:
    """`aim = "cost"`: the probability of being right above which routing costs less than manual work, in 0…1.

    Routing with probability p of being right costs (1 - p) x misroute minutes. Manual work costs the triage (or the
    reading of a suggestion, if that is cheaper) plus the expected misroutes of people.
    """
    by_hand = min(effect.triage_minutes, effect.suggestion_minutes) / effect.misroute_minutes
    return max(0.0, effect.manual_precision - by_hand)
