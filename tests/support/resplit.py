"""The guarantee held against real answers: calibration and test rows dealt anew, the whole procedure each time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from models.bundle.manifest import FieldEntry
from models.fields import Field
from models.scoring import Outcome
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored, outcomes_of, top_predictions
from training.evaluation.metrics import field_figures
from training.recipe import Recipe


@dataclass(frozen=True)
class Dealt:
    """One deal. `broken`: a promise that is false of all rows that were dealt, `held_out_broken` of those held out."""

    coverage: float
    held_out_precision: float | None
    broken: bool
    held_out_broken: bool
    any_broken: bool
    suggest_broken: bool
    ece: float
    refused: float


def deal(
    field: Field, validation: Scored, rest: Scored, calibration_rows: int, recipe: Recipe, splits: int, seed: int = 0
) -> Iterator[Dealt]:
    """Deal the labelled rows into calibration and held-out ones `splits` times.

    All dealt rows together are what both sides are drawn from, so a promise is false where it is false of them; the
    held-out rows alone miss a true promise now and then by chance.
    """
    generator = np.random.default_rng(seed)
    for _ in range(splits):
        chosen = np.zeros(len(rest.labels), dtype=bool)
        chosen[generator.permutation(len(chosen))[:calibration_rows]] = True
        entry = calibrate_field(field, validation, rest.where(chosen), recipe, "exact")
        yield _measured(field, entry, rest, rest.where(~chosen))


def _measured(field: Field, entry: FieldEntry, everything: Scored, held_out: Scored) -> Dealt:
    scoring, promise = entry.scoring(field), entry.promise
    found = field_figures(held_out.logits, held_out.labels, scoring)
    assert found is not None
    precisions = list(_group_precisions(entry, everything, field))
    routed = outcomes_of(everything.logits, scoring) == Outcome.ROUTE
    answers = top_predictions(everything, scoring)
    suggest = entry.labels[0].suggest
    trusted = answers.correct[answers.confidence >= suggest] if suggest is not None else np.ones(1)
    precision = found.outcomes.route_precision
    return Dealt(
        coverage=found.outcomes.routed,
        held_out_precision=precision,
        broken=_precision(everything, routed, field) < promise.route_precision,
        held_out_broken=precision is not None and precision < promise.route_precision,
        any_broken=any(each < promise.route_precision for each in precisions),
        suggest_broken=bool(trusted.mean() < promise.suggest_precision),
        ece=found.ece,
        refused=found.outcomes.refused,
    )


def _group_precisions(entry: FieldEntry, rows: Scored, field: Field) -> Iterator[float]:
    """The precision of each label with a promise of its own, and of the pool."""
    routed = outcomes_of(rows.logits, entry.scoring(field)) == Outcome.ROUTE
    predicted = rows.logits[:, field.slice].argmax(axis=1)
    pooled = np.array([label.pooled for label in entry.labels])
    for group in [pooled, *(np.arange(len(pooled)) == own for own in np.flatnonzero(~pooled))]:
        yield _precision(rows, routed & group[predicted], field)


def _precision(rows: Scored, routed: NDArray[np.bool_], field: Field) -> float:
    """1 where nothing is routed: silence breaks no promise."""
    right = rows.logits[routed][:, field.slice].argmax(axis=1) == rows.labels[routed]
    return float(right.mean()) if routed.any() else 1.0


def too_often(broken: int, deals: int, alpha: float) -> float:
    """How likely so many broken promises or more are if each deal breaks it with probability `alpha` (exact)."""
    return float(binomtest(broken, deals, alpha, alternative="greater").pvalue)


def table(deals: Sequence[Dealt], alpha: float) -> list[str]:
    """Lines that say what was asked for and what came of it."""
    count = len(deals)
    lines = [
        f"coverage {np.mean([each.coverage for each in deals]):.3f}"
        f" (5 % of the deals under {np.quantile([each.coverage for each in deals], 0.05):.3f})"
        f"  ECE {np.mean([each.ece for each in deals]):.4f}  refused {np.mean([each.refused for each in deals]):.4f}"
    ]
    for name in ("broken", "any_broken", "suggest_broken", "held_out_broken"):
        times = sum(getattr(each, name) for each in deals)
        lines.append(f"{name}: {times} of {count} ({times / count:.1%}), p = {too_often(times, count, alpha):.3f}")
    return lines
