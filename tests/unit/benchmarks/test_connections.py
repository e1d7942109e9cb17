"""`tests/benchmarks/connections.py`: when its targets are met."""

from dataclasses import replace

import pytest

from tests.benchmarks.connections import TRIES, Figures, Try, targets_met

USUAL = Figures(answered=1000, requests=1000, median=1.0, p99=2.0)
SOUND = Try(USUAL, replace(USUAL, p99=4.0))
SLOW = Try(USUAL, replace(USUAL, p99=4.1))
LOST = Try(USUAL, replace(USUAL, answered=999))


@pytest.mark.parametrize(
    ("tries", "result"),
    [
        ([SOUND], True),
        ([SLOW, SLOW, SOUND], True),
        ([SLOW] * TRIES, False),
        ([LOST, SOUND], False),
        ([SLOW, LOST, SOUND], False),
    ],
    ids=["all", "at last", "slow each time", "lost", "lost after all"],
)
def test_the_targets_need_all_answers_and_one_fast_try(tries: list[Try], result: bool) -> None:
    """A busy machine may raise a percentile; a missing answer is always a failure."""
    assert targets_met(tries) is result


def test_no_further_try_is_made_after_a_success() -> None:
    """The remaining tries are not started."""
    rest = iter([SOUND, LOST])
    assert targets_met(rest)
    assert next(rest) is LOST
