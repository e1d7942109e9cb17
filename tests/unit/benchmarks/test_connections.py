"""`tests/benchmarks/connections.py`: what counts as held."""

from dataclasses import replace

import pytest

from tests.benchmarks.connections import TRIES, Figures, Try, held

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
def test_all_are_answered_and_in_one_try_soon(tries: list[Try], result: bool) -> None:
    """A percentile may be a busy machine's; a request without its answer never is."""
    assert held(tries) is result


def test_once_held_nothing_more_is_tried() -> None:
    """The tries after it are not so much as begun."""
    rest = iter([SOUND, LOST])
    assert held(rest)
    assert next(rest) is LOST
