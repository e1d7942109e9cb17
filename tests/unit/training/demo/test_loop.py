"""The checks of `make loop`: each claim fails when what it claims did not happen. The story itself is a slow test."""

from collections.abc import Callable
from typing import cast

import pytest

from training.demo import helpdesk
from training.demo.loop import Story, Week, claims
from training.demo.running import Service


def good_story() -> Story:
    weeks = [Week(number, tickets=200, routed=140, right=132, drift=0.0, of_split=30) for number in range(1, 14)]
    for week in weeks[2:5]:
        week.routed, week.right, week.drift = 110, 102, 0.3
    for week in weeks[7:9]:
        week.right = 100
    for week in weeks[9:11]:
        week.routed, week.right, week.of_split, week.suggested = 100, 95, 0, 30
    return Story(
        cast("Service", None),
        weeks=weeks,
        alarm_at=20,
        alarm_week=9,
        recalibrated=(0.7, 0.8),
        better={"comparison": {"verdict": "better"}},
        shadowed={"figures": {"accuracy": {"low": 0.05}}},
        labels_taken_back={helpdesk.SPLIT_FROM},
    )


def failing(story: Story) -> list[str]:
    return [claim for claim, holds in claims(story) if not holds]


def test_a_story_in_which_all_happens_holds_every_claim() -> None:
    assert failing(good_story()) == []


def change(number: int, **values: object) -> Callable[[Story], None]:
    def apply(story: Story) -> None:
        for name, value in values.items():
            setattr(story.weeks[number - 1], name, value)

    return apply


def put(**values: object) -> Callable[[Story], None]:
    def apply(story: Story) -> None:
        for name, value in values.items():
            setattr(story, name, value)

    return apply


@pytest.mark.parametrize(
    ("otherwise", "claim"),
    [
        (change(2, right=100), "week 2 keeps the promise"),
        (lambda story: [change(number, right=132)(story) for number in (8, 9)], "the promise is broken"),
        (put(alarm_at=helpdesk.WEEK), "the alarm takes"),
        (put(alarm_at=None, alarm_week=None), "the alarm takes"),
        (put(labels_taken_back={helpdesk.SPLIT_FROM, "sales"}), "no other department"),
        (change(10, of_split=1), "routed never"),
        (change(2, drift=0.2), "drift moves"),
        (change(5, drift=0.05), "drift moves"),
        (change(4, routed=200, right=190), "the launch lowers"),
        (change(7, drift=0.3), "lower by its reference"),
        (put(recalibrated=(0.8, 0.8)), "raises the routed share"),
        (change(6, routed=60, right=58), "in the weeks after it"),
        (put(better={"comparison": {"verdict": "no difference shown"}}), "better on held-out"),
        (put(shadowed={"figures": {"accuracy": {"low": -0.01}}}), "as a shadow"),
        (change(12, routed=20, right=20), "after the promotion"),
        (change(13, of_split=0), "is routed again"),
    ],
)
def test_a_claim_fails_when_it_did_not_happen(otherwise: Callable[[Story], object], claim: str) -> None:
    story = good_story()
    otherwise(story)
    assert any(claim in each for each in failing(story))
