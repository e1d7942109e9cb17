"""The window slides by a clock, needs tickets, and names what moved."""

from itertools import cycle, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.bundle.manifest import ModelEntry
from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from models.text.script import SCRIPTS
from service.drift.shift import LEAST_TICKETS
from service.drift.window import FEWEST_ROUTED, HOURS, MOST_HOURS, DriftWindow
from tests.support.plain import model

TEXT = "Where is my order?"
REFERENCE: dict[str, Any] = {
    "rows": 1200,
    "labels": {"department": (400, 400, 400), "priority": (600, 600)},
    "confidence": {"edges": (0.5, 0.8), "counts": (400, 400, 400)},
    "length": {"edges": (10.0, 20.0), "counts": (400, 400, 400)},
    "scripts": {script: 1200 if script == "latin" else 0 for script in SCRIPTS},
    "familiarity": {"edges": (-3.0,), "counts": (600, 600)},
}
DEPARTMENTS = ("billing", "sales", "technical")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def verdict(department: str, confidence: float, priority: str = "low", familiarity: float | None = -2.0) -> Verdict:
    def answer(label: str) -> FieldVerdict:
        outcome = Outcome.ROUTE if confidence >= 0.9 else Outcome.REVIEW
        return FieldVerdict(outcome, Reason.CONFIDENT, (Candidate(label, confidence),))

    return Verdict(answer(department), {"priority": answer(priority)}, familiarity)


def window_of(clock: Clock, reference: dict[str, Any] | None = REFERENCE) -> DriftWindow:
    return DriftWindow(ModelEntry.model_validate(model(reference=reference)), clock)


def usual(window: DriftWindow, tickets: int) -> None:
    """Tickets as those of the reference."""
    rows = cycle(
        (text, tokens, verdict(department, confidence, priority, familiarity))
        for text in (TEXT,)
        for department in DEPARTMENTS
        for confidence, tokens in ((0.4, 5), (0.7, 15), (0.95, 40))
        for priority, familiarity in (("low", -2.0), ("high", -4.0))
    )
    for text, tokens, answer in islice(rows, tickets):
        window.add(text, tokens, answer)


def test_tickets_like_the_reference_are_no_shift() -> None:
    window = window_of(Clock())
    usual(window, 900)
    drift = window.read()
    assert drift.tickets == 900
    assert set(drift.signals) == {
        *("predicted_department", "predicted_priority", "confidence", "length", "familiarity", "script"),
    }
    assert all(signal.shift is not None and signal.shift.psi == 0 for signal in drift.signals.values())


@pytest.mark.parametrize(
    ("signal", "text", "tokens", "answer", "moved"),
    [
        ("predicted_department", TEXT, 15, verdict("sales", 0.7), "sales"),
        ("predicted_priority", TEXT, 15, verdict("sales", 0.7, "high"), "high"),
        ("confidence", TEXT, 15, verdict("billing", 0.99), "from 0.8"),
        ("length", TEXT, 300, verdict("billing", 0.7), "from 20"),
        ("script", "Где мой заказ?", 15, verdict("billing", 0.7), "cyrillic"),
        ("familiarity", TEXT, 15, verdict("billing", 0.7, familiarity=-9.0), "below -3"),
    ],
)
def test_each_signal_sees_its_shift_and_names_what_moved(
    signal: str, text: str, tokens: int, answer: Verdict, moved: str
) -> None:
    """Of tickets that are all alike; the first two bins named are what more, and what fewer, tickets have."""
    window = window_of(Clock())
    for _ in range(LEAST_TICKETS):
        window.add(text, tokens, answer)
    found = window.read().signals[signal]
    assert found.shift is not None
    assert found.shift.psi > 0.1
    assert moved in {each.bin for each in found.moved if each.found > each.expected}


def test_too_few_tickets_have_no_shift() -> None:
    window = window_of(Clock())
    usual(window, LEAST_TICKETS - 1)
    assert {signal.shift for signal in window.read().signals.values()} == {None}
    usual(window, 1)
    assert None not in {signal.shift for signal in window.read().signals.values()}


def test_a_day_is_enough_if_it_has_the_tickets() -> None:
    clock = Clock()
    window = window_of(clock)
    usual(window, 400)
    clock.seconds += 3600 * (HOURS + 1)
    usual(window, LEAST_TICKETS)
    assert window.read().tickets == LEAST_TICKETS


def test_the_whole_last_day_counts_although_an_hour_has_the_tickets() -> None:
    clock = Clock()
    window = window_of(clock)
    usual(window, LEAST_TICKETS)
    clock.seconds += 3600 * (HOURS - 1)
    usual(window, LEAST_TICKETS)
    assert window.read().tickets == 2 * LEAST_TICKETS


def test_with_few_tickets_a_day_the_window_is_as_long_as_it_must_be() -> None:
    clock = Clock()
    window = window_of(clock)
    for _ in range(10):
        usual(window, 60)
        clock.seconds += 86400
    drift = window.read()
    assert LEAST_TICKETS <= drift.tickets < 2 * LEAST_TICKETS
    assert drift.hours < MOST_HOURS


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30)), max_size=30))
def test_no_ticket_is_older_than_a_week(steps: list[tuple[int, int]]) -> None:
    """Whatever the times between tickets: the window has all of the last day, and none of before the last week."""
    clock = Clock()
    window = window_of(clock)
    times: list[int] = []
    for hours, tickets in steps:
        clock.seconds += 3600 * hours
        usual(window, tickets)
        times += [int(clock.seconds // 3600)] * tickets
    now = int(clock.seconds // 3600)
    held = window.read().tickets
    assert sum(now - hour <= HOURS for hour in times) <= held <= sum(now - hour <= MOST_HOURS for hour in times)


def test_the_expected_precision_is_the_mean_confidence_of_what_is_routed() -> None:
    """By field, beside the promise; unknown with few routed tickets."""
    window = window_of(Clock())
    for _ in range(FEWEST_ROUTED - 1):
        window.add(TEXT, 15, verdict("sales", 0.94))
        window.add(TEXT, 15, verdict("sales", 0.3))
    assert window.read().expected_precision["department"].value is None
    window.add(TEXT, 15, verdict("sales", 0.94))
    department = window.read().expected_precision["department"]
    assert (department.routed, department.promised) == (FEWEST_ROUTED, 0.95)
    assert department.value == pytest.approx(0.94)


def test_a_bundle_without_a_reference_has_no_signals() -> None:
    """Its tickets and their confidence are counted."""
    window = window_of(Clock(), None)
    usual(window, 900)
    drift = window.read()
    assert (drift.reference_rows, dict(drift.signals), drift.tickets) == (None, {}, 900)
    assert drift.expected_precision["department"].value is not None


def test_scores_that_are_no_numbers_do_not_count() -> None:
    window = window_of(Clock())
    invalid = FieldVerdict(Outcome.REVIEW, Reason.INVALID_SCORES, ())
    window.add(TEXT, 15, Verdict(invalid, {"priority": invalid}))
    assert window.read().tickets == 0
