"""The promise simulator: training's curve as a bundle holds it, and what a target gives."""

from pathlib import Path

import pytest

from models.bundle.bundle import open_bundle
from service.desk.quality.figures import Assumptions, saved
from service.desk.quality.promise import Curve, command, read_curve, simulated
from tests.support.curved import EFFECT, TARGETS, metrics_json, with_metrics
from training.evaluation.business_impact import CaseCounts, effect_of
from training.evaluation.record import Record
from training.recipe import EffectRecipe


def curve_of(tiny_bundle_path: Path, tmp_path: Path, metrics: bytes) -> Curve | None:
    return read_curve(open_bundle(with_metrics(tiny_bundle_path, tmp_path, metrics)))


def test_curve_and_assumptions_are_read_from_the_bundle(tiny_bundle_path: Path, tmp_path: Path) -> None:
    curve = curve_of(tiny_bundle_path, tmp_path, metrics_json())
    assert curve is not None
    assert [(each.target, each.coverage, each.precision) for each in curve.targets] == [
        (each.target, each.coverage, each.precision) for each in TARGETS
    ]
    assert (curve.rows, curve.tickets_per_week) == (200, EFFECT.tickets_per_week)
    assert curve.costs == Assumptions(4.0, 1.0, 30.0, 0.8)


def test_the_keys_that_are_read_are_those_that_training_writes() -> None:
    assert {"targets", "rows", "effect"} <= set(Record.model_fields)
    assert set(EffectRecipe.model_fields) >= {*Assumptions.__dataclass_fields__, "tickets_per_week"}


@pytest.mark.parametrize(
    "metrics",
    [
        None, b"", b"{", b"[]", b"{}", metrics_json(targets={}), metrics_json(targets={"department": []}),
        metrics_json(targets={"department": [{"target": 0.9}]}), metrics_json(rows=None),
    ],
)  # fmt: skip
def test_bundle_without_a_readable_curve_has_none(
    tiny_bundle_path: Path, tmp_path: Path, metrics: bytes | None
) -> None:
    if metrics is None:
        assert read_curve(open_bundle(tiny_bundle_path)) is None
    else:
        assert curve_of(tiny_bundle_path, tmp_path, metrics) is None


def test_result_of_a_target_is_counted_by_hand(tiny_bundle_path: Path, tmp_path: Path) -> None:
    curve = curve_of(tiny_bundle_path, tmp_path, metrics_json())
    assert curve is not None
    costs = Assumptions(triage_minutes=4, suggestion_minutes=1, misroute_minutes=30, manual_precision=0.8)
    found = simulated(curve, 0.90, 1000, costs)
    assert (found.coverage, found.precision, found.between) == (0.7, 0.93, False)
    # 700 routed, 49 of them wrong; 300 by hand, a fifth of them wrong.
    assert found.week.misroutes == pytest.approx(49 + 60)
    assert found.week.misroutes_before == pytest.approx(200)
    # By hand a ticket takes 4 + 0.2 x 30 minutes.
    assert found.week.minutes == pytest.approx(700 * 10 - 49 * 30)

    between = simulated(curve, 0.925, 1000, costs)
    assert between.between
    assert (between.coverage, between.precision) == (pytest.approx(0.6), pytest.approx(0.95))
    nothing = simulated(curve, 0.99, 1000, costs)
    assert (nothing.coverage, nothing.precision, nothing.week.minutes) == (0, None, 0)
    assert simulated(curve, 0.5, 1000, costs).target == 0.80


def test_minutes_are_those_of_trainings_report() -> None:
    cases = CaseCounts(routed_right=60, routed_wrong=10, suggested=10, reviewed=20)
    report = effect_of(cases, EFFECT)
    costs = Assumptions(EFFECT.triage_minutes, EFFECT.suggestion_minutes, EFFECT.misroute_minutes, 0.8)
    found = saved(2000, 2000 * 0.7, 2000 * 0.1, 60 / 70, costs)
    assert found.minutes == pytest.approx(report.minutes_saved.value)
    assert found.misroutes == pytest.approx(report.misroutes_after.value)
    assert found.misroutes_before == pytest.approx(report.misroutes_before)


def test_command_is_one_that_training_takes() -> None:
    lines = command(Path("/some folder/x; rm"), 0.925).splitlines()
    assert lines[-1] == (
        "python -m training recalibrate --bundle '/some folder/x; rm' --data feedback.jsonl --precision 0.925"
    )
