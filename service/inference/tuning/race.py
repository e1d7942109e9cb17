"""Which of several plans is fastest, on a machine that is never quiet: pure judgement over made measurements.

`search.py` says what runs. Plans are measured in rounds, one after another and the next time backwards, and compared
within a round only, so that a machine that slows down for a while slows all of them.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.inference.plan import Plan

MARGIN = 1.03
"""A plan must beat the default by this factor, or noise alone would change how a service runs."""
CLEARLY_BEHIND = 0.9
"""Below this share of the best one, a plan is not measured again."""
MIN_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Trial:
    """A plan and what it reached in each round it was in, tickets per second."""

    plan: Plan
    rates: tuple[float, ...]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def lead(self, default: "Trial") -> float:
        """How many times as fast as the default, median of the rounds both were in."""
        return statistics.median(self._ratios(default))

    def beats(self, default: "Trial") -> bool:
        """By the margin, in as many rounds as the default ran, and behind in none of them."""
        lasted = len(self.rates) == len(default.rates)
        return lasted and self.lead(default) >= MARGIN and min(self._ratios(default)) > 1

    def _ratios(self, default: "Trial") -> list[float]:
        return [own / other for own, other in zip(self.rates, default.rates, strict=False)]


def race(plans: Sequence[Plan], measure: Callable[[Plan], float], seconds: float) -> list[Trial]:
    """Measure plans in rounds, dropping the slow ones early (successive halving).

    Args:
        plans: the default first.
        measure: tickets per second of a plan, now.
        seconds: when the time is up the round is finished, but there are at least MIN_ROUNDS while two are left.
    """
    until = time.perf_counter() + seconds
    trials = {plan: Trial(plan, ()) for plan in plans}
    running, rounds = list(plans), 0
    while rounds == 0 or (len(running) > 1 and (rounds < MIN_ROUNDS or time.perf_counter() < until)):
        for plan in running if rounds % 2 == 0 else reversed(running):
            trials[plan] = Trial(plan, (*trials[plan].rates, measure(plan)))
        running = survivors([trials[plan] for plan in running])
        rounds += 1
    return list(trials.values())


def survivors(trials: Sequence[Trial]) -> list[Plan]:
    """Who runs in the next round: the default, and the better half of the others, unless clearly behind."""
    default, *others = trials
    ranked = sorted(others, key=lambda trial: trial.lead(default), reverse=True)[: -(-len(others) // 2)]
    least = CLEARLY_BEHIND * max([1.0, *(trial.lead(default) for trial in ranked)])
    left = {trial.plan for trial in ranked if trial.lead(default) >= least}
    return [trial.plan for trial in trials if trial is default or trial.plan in left]


def best(trials: Sequence[Trial]) -> Trial:
    """The fastest of those that beat the default, the first one; else the default."""
    default, *others = trials
    ahead = [trial for trial in others if trial.beats(default)]
    return max(ahead, key=lambda trial: trial.lead(default), default=default)
