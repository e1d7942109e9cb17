"""`aim = "cost"`: route where a wrong route costs fewer minutes, on average, than asking a person.

A route with probability p of being right costs (1 - p) x misroute minutes. By hand it costs the triage, or the glance
at a suggestion where that is cheaper, and now and then a misroute too: nobody is always right.
"""

from training.recipe import EffectRecipe


def route_level(effect: EffectRecipe) -> float:
    """The probability of being right above which routing costs less than a person, in 0…1."""
    by_hand = min(effect.triage_minutes, effect.suggestion_minutes) / effect.misroute_minutes
    return max(0.0, effect.manual_precision - by_hand)
