"""The counts of the quality page against an example counted by hand, in both databases."""

import asyncio
from pathlib import Path

import pytest

from service.desk.quality.figures import Flow, calibration, flows, precision, weeks
from service.desk.quality.promise import live, steps_of
from service.desk.quality.queries import Answer, answers, decided, first_moment, judged, week_of
from service.records.live import share
from tests.desk.quality.judged import Case, add
from tests.support.records import recording

WEEK = week_of(1_750_000_000_000)
CASES = [
    # The first week: four routed to billing, of which people moved one to sales, and one suggestion.
    Case(WEEK, "billing", said=(("billing", "close"),)),
    Case(WEEK, "billing", said=(("billing", "agent"),)),
    Case(WEEK, "billing", said=(("sales", "close"),)),
    Case(WEEK, "billing"),
    Case(WEEK, "sales", "suggest", 0.8, (("sales", "close"),)),
    # The value at close counts, also where an agent's comes later.
    Case(WEEK + 1, "billing", said=(("billing", "close"), ("sales", "agent"))),
    Case(WEEK + 1, "sales", said=(("billing", "agent"), ("sales", "agent"))),
    Case(WEEK + 1, None, "review", 0.0, (("sales", "close"),)),
    Case(WEEK + 1, "billing", "review", 0.4, (("billing", "close"),), reason="below_threshold"),
    Case(WEEK + 1, "sales", "review", 0.3, (("billing", "close"),), reason="below_threshold", before_best=True),
    # The random share, and what a person set: no decision of the model.
    Case(WEEK + 1, "billing", said=(("billing", "close"),), holdout=True),
    Case(WEEK + 1, "sales", said=(("billing", "close"),), holdout=True),
    Case(WEEK + 1, "billing", said=(("sales", "close"),), reason="corrected"),
    # Before the time that is asked for.
    Case(WEEK - 1, "billing", said=(("sales", "close"),)),
]


def test_a_week_begins_on_monday() -> None:
    monday = 1_750_032_000_000  # 2025-06-16T00:00Z
    assert week_of(monday - 1) + 1 == week_of(monday) == week_of(monday + 604_799_999)
    assert first_moment(week_of(monday)) == monday


def test_counts_are_those_of_the_example(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            await recorder.records.write(lambda connection: add(connection, CASES))
            since = first_moment(WEEK)
            all_decided = await recorder.records.read(lambda connection: decided(connection, since))
            all_judged = await recorder.records.read(lambda connection: judged(connection, since))
            said = await recorder.records.read(lambda connection: answers(connection, since))

        first, second = weeks(all_decided, all_judged, (WEEK, WEEK + 1), None)
        assert (first.decided, first.routed, first.suggested) == (5, 4, 1)
        assert (second.decided, second.routed, second.suggested) == (5, 2, 0)
        assert (first.coverage, second.coverage) == (share(4, 5), share(2, 5))
        assert first.precision == {"feedback": share(2, 3), "audit": None}
        assert second.precision == {"feedback": share(2, 2), "audit": share(1, 2)}

        (billing,) = weeks(all_decided, all_judged, (WEEK + 1,), "billing")
        assert billing.coverage == share(1, 3)
        assert billing.precision == {"feedback": share(1, 1), "audit": share(1, 1)}

        moved = share(1, 4)
        assert moved is not None
        assert flows(all_judged) == [Flow("billing", "sales", 1, moved)]
        assert precision(each for each in all_judged if not each.audit) == share(4, 5)

        low, high = calibration(all_judged)
        assert (low.low, low.high, low.right) == (0.8, 0.85, share(1, 1))
        assert (high.low, high.high, high.right) == (0.95, 0.98, share(5, 7))
        assert high.confidence == pytest.approx(0.97)

        # The model's best label of a review stands in its answer; the ticket without one is left out.
        assert sorted(each.right for each in said) == [False] * 3 + [True] * 7
        assert {each for each in said if each.confidence < 0.5} == {(0.4, True), (0.3, False)}
        found = live(steps_of(said), 0.7)
        assert (found.coverage, found.rows, found.precision) == (1.0, 10, share(7, 10))
        assert live(steps_of(said), 0.8).precision is None

    asyncio.run(scenario())


def test_live_curve_routes_equal_confidences_together() -> None:
    said = [(0.9, True), (0.9, False), (0.8, True), (0.8, True)]
    steps = steps_of([Answer(*each) for each in said])
    assert [(each.tickets, each.right) for each in steps] == [(2, 1), (4, 3)]
    assert live(steps, 0.75).coverage == 1.0
    assert live(steps, 0.9).coverage == 0.0
    assert live([], 0.9).rows == 0
