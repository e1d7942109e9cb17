"""The business effect, and its intervals in the report."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring import Outcome
from training.evaluation.business_impact import CaseCounts, effect, effect_of, mean_price
from training.evaluation.intervals import f1, share
from training.recipe import EffectRecipe

ASSUMED = EffectRecipe(
    tickets_per_week=100,
    triage_minutes=4,
    suggestion_minutes=1,
    misroute_minutes=20,
    triage_wait_minutes=60,
    misroute_wait_minutes=200,
    manual_precision=0.9,
)
cases = st.builds(CaseCounts, **{name: st.integers(0, 500) for name in CaseCounts.model_fields})


def test_each_row_is_one_of_four_cases() -> None:
    """Routed rows are right or wrong; suggested and reviewed rows are the other two."""
    outcomes = np.array([Outcome.ROUTE, Outcome.ROUTE, Outcome.ROUTE, Outcome.SUGGEST, Outcome.REVIEW])
    found = effect(outcomes, np.array([True, True, False, True, False]), ASSUMED)
    assert found.cases == CaseCounts(routed_right=2, routed_wrong=1, suggested=1, reviewed=1)
    assert found.automatic_share.value == pytest.approx(3 / 5)


def test_the_documented_prices_add_up() -> None:
    """Eight right routes, one wrong, one suggestion: minutes, misroutes and waiting times as in the module's table."""
    found = effect_of(CaseCounts(routed_right=8, routed_wrong=1, suggested=1, reviewed=0), ASSUMED)
    by_hand = 4 + 0.1 * 20
    assert found.minutes_saved.value == pytest.approx(100 * (8 * by_hand + (by_hand - 20) + (4 - 1)) / 10)
    assert found.misroutes_before == pytest.approx(10)
    assert found.misroutes_after.value == pytest.approx(100 * (1 + 0.1) / 10)
    assert found.wait_minutes_before == pytest.approx(60 + 0.1 * 200)
    assert found.wait_minutes_after.value == pytest.approx((200 + 80) / 10)


def test_nothing_routed_saves_nothing() -> None:
    """With every ticket reviewed, the figures after equal those before."""
    found = effect_of(CaseCounts(routed_right=0, routed_wrong=0, suggested=0, reviewed=7), ASSUMED)
    assert found.minutes_saved.value == 0
    assert found.wait_minutes_after.value == pytest.approx(found.wait_minutes_before)
    assert found.misroutes_after.value == pytest.approx(found.misroutes_before)


def test_no_rows_are_an_error() -> None:
    """Instead of a figure."""
    with pytest.raises(ValueError, match="no rows"):
        effect(np.array([], dtype=str), np.array([], dtype=bool), ASSUMED)


def test_an_unobserved_case_still_counts_as_possible() -> None:
    """Without one wrong route among a hundred rows, the interval of misroutes still ends above zero."""
    found = effect_of(CaseCounts(routed_right=100, routed_wrong=0, suggested=0, reviewed=0), ASSUMED)
    assert found.misroutes_after.value == found.misroutes_after.low == 0
    assert found.misroutes_after.high > 0.5


@given(cases.filter(lambda case: case.rows > 0))
def test_the_interval_contains_its_value(found: CaseCounts) -> None:
    """For any counts, low ≤ value ≤ high."""
    estimate = mean_price(found, (6, -14, 3, 0), 100)
    assert estimate.low <= estimate.value <= estimate.high


@pytest.mark.parametrize("rows", [40, 400])
def test_the_interval_covers_95_percent(rows: int) -> None:
    """Over 2,000 draws from a known mix, the interval contains the true mean in about 95 %, or more with few rows."""
    random, mix, prices = np.random.default_rng(3), (0.75, 0.03, 0.17, 0.05), (6.0, -14.0, 3.0, 0.0)
    names, truth = tuple(CaseCounts.model_fields), float(np.dot(mix, prices))
    draws = [
        mean_price(CaseCounts(**dict(zip(names, map(int, drawn), strict=True))), prices)
        for drawn in random.multinomial(rows, mix, 2000)
    ]
    held = float(np.mean([draw.low <= truth <= draw.high for draw in draws]))
    assert 0.94 <= held <= 0.99


def test_a_share_has_the_wilson_interval() -> None:
    """For 8 of 10, as in published tables; none without rows."""
    found = share(8, 10)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert share(0, 0) is None


def test_f1_follows_from_its_counts() -> None:
    """F1 is twice the right ones over all wanted plus all predicted; its interval contains it, within 0 and 1."""
    found = f1(30, 40, 35)
    assert found is not None
    assert found.value == pytest.approx(2 * 30 / (40 + 35))
    assert 0 < found.low < found.value < found.high < 1
    assert f1(0, 0, 0) is None
