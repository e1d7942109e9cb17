"""Bundles that ran side by side, compared by the record alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from models.errors import TicketRouterError
from tests.support.decisions import decision, feedback
from tests.support.rows import write_jsonl
from training.cli.format_bundles import record_lines
from training.commands.compare_record import RecordComparison, compare_record
from training.evaluation.unpaired import difference_of_shares

CHAMPION, CHALLENGER = "a" * 16, "b" * 16


def field(value: str | None, confidence: float = 0.9) -> dict[str, Any]:
    outcome = "review" if value is None else "route"
    return {"department": {"value": value, "confidence": confidence, "outcome": outcome, "threshold": 0.8}}


def shadowed(number: int, ours: str | None, theirs: str | None, truth: str | None) -> dict[str, Any]:
    said = () if truth is None else (feedback(truth, 1),)
    line = decision(number, ours or "sales", "route", *said)
    shadow = {"bundle": CHALLENGER, "variant": "int8", "fields": field(theirs, 0.95)}
    return line | {"bundle": CHAMPION, "role": None, "fields": field(ours), "shadow": shadow}


def answered(number: int, role: str | None, value: str | None, truth: str | None) -> dict[str, Any]:
    said = () if truth is None else (feedback(truth, 1),)
    bundle = CHAMPION if role is None else CHALLENGER
    return decision(number, "sales", "route", *said, at=number / 1000) | {
        "bundle": bundle,
        "role": role,
        "fields": field(value),
    }


def compared(folder: Path, *lines: Mapping[str, Any], labels: Path | None = None) -> RecordComparison:
    return compare_record([write_jsonl(folder / "decisions.jsonl", lines)], labels)


def test_shadow_is_compared_in_pairs(tmp_path: Path) -> None:
    lines = [shadowed(n, "sales", "billing", "billing") for n in range(40)]
    lines += [shadowed(n, "sales", "sales", "sales") for n in range(40, 60)]
    lines += [shadowed(n, "sales", None, None) for n in range(60, 80)]
    (found,) = compared(tmp_path, *lines).shadows
    assert (found.champion, found.challenger, found.rows, found.truths) == (CHAMPION, CHALLENGER, 80, 60)
    accuracy, routed = found.figures["accuracy"], found.figures["routed"]
    assert (accuracy.champion, accuracy.challenger) == (pytest.approx(1 / 3), 1.0)
    assert (routed.champion, routed.challenger) == (1.0, 0.75)
    assert found.agreement is not None
    assert found.agreement.value == pytest.approx(20 / 60)
    assert (found.only_champion_routes, found.only_challenger_routes) == (20, 0)
    assert found.shift == pytest.approx(0.05)
    assert found.verdict == "better"
    assert any("verdict: better" in line for line in record_lines(compared(tmp_path, *lines)))


def test_without_truths_a_shadow_has_agreement_and_shares_only(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, *(shadowed(n, "sales", "billing", None) for n in range(50))).shadows
    assert (found.truths, set(found.figures), found.verdict) == (0, {"routed"}, "no difference shown")
    assert found.agreement is not None
    assert found.agreement.value == 0


def test_merged_label_is_not_a_difference(tmp_path: Path) -> None:
    labels = tmp_path / "labels.toml"
    labels.write_text('[department.aliases]\n"billing" = "sales"\n')
    lines = [shadowed(n, "sales", "billing", "billing") for n in range(40)]
    (found,) = compared(tmp_path, *lines, labels=labels).shadows
    assert found.agreement is not None
    assert found.agreement.value == 1
    assert found.figures["accuracy"].difference == 0


def test_canary_is_compared_with_what_served_in_its_time(tmp_path: Path) -> None:
    """Tickets from before the canary and after it do not count."""
    lines = [answered(n, None, "sales", "billing") for n in range(30)]
    lines += [
        answered(30 + n, "canary" if n % 2 == 0 else None, "billing", "billing" if n % 2 == 0 else "sales")
        for n in range(81)
    ]
    (found,) = compared(tmp_path, *lines).canaries
    assert (found.champion, found.challenger) == (CHAMPION, CHALLENGER)
    assert (found.rows, found.truths) == ((40, 41), (40, 41))
    assert found.figures["accuracy"].difference == 1
    assert found.figures["routed"].sign == 0
    assert found.verdict == "better"


def test_few_truths_show_no_difference(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, *(shadowed(n, "sales", "billing", "billing") for n in range(20))).shadows
    assert found.figures["accuracy"].sign == 1
    assert found.verdict == "no difference shown"


def test_record_without_a_challenger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TicketRouterError, match="no ticket has a shadow's verdict"):
        compared(tmp_path, answered(1, None, "sales", "sales"))


@pytest.mark.parametrize(
    ("champion", "challenger", "low", "high"),
    # Newcombe (1998), table II, method 10: 56/70 less 48/80, and 9/10 less 3/10.
    [((48, 80), (56, 70), 0.0524, 0.3339), ((3, 10), (9, 10), 0.1705, 0.8090)],
)
def test_interval_of_a_difference_of_shares(
    champion: tuple[int, int], challenger: tuple[int, int], low: float, high: float
) -> None:
    found = difference_of_shares(champion, challenger)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-4), pytest.approx(high, abs=5e-4))


def test_side_without_rows_has_no_difference() -> None:
    found = difference_of_shares((0, 0), (1, 2))
    assert (found.champion, found.challenger, found.difference, found.sign) == (None, 0.5, None, 0)
