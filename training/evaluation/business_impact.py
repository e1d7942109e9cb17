"""The benefit of routing in minutes, misroutes and waiting time, from measured rows and the recipe's assumptions.

Each measured row is one of four cases, and each case has a cost; the report's page computes the same in the browser
when a reader changes an assumption.

| case | minutes of work | minutes until the right team has it | misroutes |
|---|---|---|---|
| by hand, as before | triage + e x misroute | triage wait + e x misroute wait | e |
| routed, right | 0 | 0 | 0 |
| routed, wrong | misroute | misroute wait | 1 |
| suggested | suggestion + e x misroute | as by hand | e |
| left to a person | as by hand | as by hand | e |

e = 1 - manual_precision. A suggestion saves reading time only. People probably make fewer errors with a suggestion,
but this effect is not measured here, so it is not counted.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Frozen
from models.scoring import Outcome
from training.evaluation.intervals import Estimate
from training.recipe import EffectRecipe

PRIOR = 0.5
"""Added to each case's count for the interval (Jeffreys), so that a case with no rows still counts as possible."""
NORMAL = 1.959964
"""Standard deviations either side of the mean that hold 95 % of a normal distribution."""


class CaseCounts(Frozen):
    """The number of measured rows in each case."""

    routed_right: int
    routed_wrong: int
    suggested: int
    reviewed: int

    @property
    def rows(self) -> int:
        return sum(self.each)

    @property
    def each(self) -> tuple[int, int, int, int]:
        return self.routed_right, self.routed_wrong, self.suggested, self.reviewed


class EffectFigures(Frozen):
    """Before (all by hand) and after. Minutes saved and misroutes are per week; waits are mean minutes per ticket."""

    assumptions: EffectRecipe
    cases: CaseCounts
    automatic_share: Estimate
    minutes_saved: Estimate
    misroutes_before: float
    misroutes_after: Estimate
    wait_minutes_before: float
    """Mean minutes until a ticket reaches the right team."""
    wait_minutes_after: Estimate


def effect(outcomes: NDArray[np.str_], correct: NDArray[np.bool_], recipe: EffectRecipe) -> EffectFigures:
    """The department's effect, from each measured row's outcome (`Outcome` values) and whether its prediction is right,
    both [rows].

    Raises:
        ValueError: no rows.
    """
    routed = outcomes == Outcome.ROUTE.value
    cases = CaseCounts(
        routed_right=int((routed & correct).sum()),
        routed_wrong=int((routed & ~correct).sum()),
        suggested=int((outcomes == Outcome.SUGGEST.value).sum()),
        reviewed=int((outcomes == Outcome.REVIEW.value).sum()),
    )
    return effect_of(cases, recipe)


def effect_of(cases: CaseCounts, recipe: EffectRecipe) -> EffectFigures:
    """The effect for these cases and assumptions.

    Raises:
        ValueError: no rows.
    """
    mistakes = 1 - recipe.manual_precision
    work = recipe.triage_minutes + mistakes * recipe.misroute_minutes
    wait = recipe.triage_wait_minutes + mistakes * recipe.misroute_wait_minutes
    confirming = recipe.suggestion_minutes + mistakes * recipe.misroute_minutes
    week = recipe.tickets_per_week
    return EffectFigures(
        assumptions=recipe,
        cases=cases,
        automatic_share=mean_price(cases, (1, 1, 0, 0)),
        minutes_saved=mean_price(cases, (work, work - recipe.misroute_minutes, work - confirming, 0), week),
        misroutes_before=week * mistakes,
        misroutes_after=mean_price(cases, (0, 1, mistakes, mistakes), week),
        wait_minutes_before=wait,
        wait_minutes_after=mean_price(cases, (0, recipe.misroute_wait_minutes, wait, wait)),
    )


def mean_price(cases: CaseCounts, prices: Sequence[float], times: float = 1) -> Estimate:
    """The mean cost per case, multiplied by `times`, with a 95 % interval.

    The interval is normal, around the mean of the Dirichlet posterior under Jeffreys' prior (the idea of Agresti and
    Coull,
    extended from two cases to four). It always contains the measured mean, and stays within the lowest and highest
    cost.

    Raises:
        ValueError: no rows.
    """
    if not cases.rows:
        raise ValueError("no rows to take an effect from")
    counts, price = np.array(cases.each, dtype=np.float64), np.array(prices, dtype=np.float64)
    weights = (counts + PRIOR) / (counts + PRIOR).sum()
    centre = float(weights @ price)
    variance = float(weights @ price**2) - centre**2
    reach = NORMAL * float(np.sqrt(max(variance, 0.0) / ((counts + PRIOR).sum() + 1)))
    value = float(counts @ price) / cases.rows
    low = max(min(centre - reach, value), float(price.min()))
    high = min(max(centre + reach, value), float(price.max()))
    return Estimate(value=times * value, low=times * low, high=times * high)
