"""The judgement behind `tune`: margins, rounds, lone tickets, and the closed loop that plans are measured with."""

from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoding import Encoding
from service.inference.autotune import doubling
from service.inference.packing import Packing
from service.inference.plan import Plan
from service.inference.tuning.closed_loop import ClosedLoop, TokenizedTicket, tokens_per_second, waiting_line
from service.inference.tuning.lone import LoneTimes, fastest_alone, ladder
from service.inference.tuning.race import MIN_ROUNDS, Trial, best, race, survivors


def plan(number: int) -> Plan:
    """Plans that differ in their budget only."""
    return Plan(
        variant="fp32", graph="fused", runners=2, intra_op_threads=1, lone_threads=None, lone_tokens=64,
        max_batch_tokens=number, max_padding=0.1,
    )  # fmt: skip


def trials(*rates: Sequence[float]) -> list[Trial]:
    return [Trial(plan(number), tuple(each)) for number, each in enumerate(rates, start=1)]


@pytest.mark.parametrize(
    ("default", "other", "taken"),
    [
        ((100, 100, 100, 100), (104, 105, 106, 104), 2),
        ((100, 100, 100, 100), (102, 102, 102, 102), 1),  # less than the margin
        ((100, 100, 100, 100), (120, 120, 120, 99), 1),  # behind once: that may be noise
        ((100, 100, 100, 100), (120,), 1),  # dropped early
        ((100, 50, 100, 50), (104, 52, 104, 52), 2),  # the machine slows both
        ((100, 50, 100, 50), (90, 90, 90, 90), 1),  # the better median, but behind in every other round
    ],
)
def test_a_plan_replaces_the_default_by_a_margin_in_every_round(
    default: Sequence[float], other: Sequence[float], taken: int
) -> None:
    """Noise alone changes nothing, and only figures of the same round are compared."""
    assert best(trials(default, other)).plan == plan(taken)


def test_of_several_better_ones_the_best_is_taken() -> None:
    """The largest lead over the default wins, not the last or the first."""
    assert best(trials([100] * 4, [110] * 4, [130] * 4, [120] * 4)).plan == plan(3)


def test_after_a_round_the_default_and_the_better_half_go_on() -> None:
    """Whatever the default reached; and of the better half nobody who is clearly behind."""
    assert survivors(trials([10], [100], [99], [98], [97])) == [plan(1), plan(2), plan(3)]
    assert survivors(trials([100], [89], [80])) == [plan(1)]
    assert survivors(trials([100], [120], [100], [80], [70])) == [plan(1), plan(2)]


@pytest.mark.parametrize("speeds", [[100, 120, 50], [100, 90.5, 110], [100]])
def test_a_race_finds_the_fastest_and_measures_the_slow_ones_once(speeds: list[float]) -> None:
    """With steady figures the fastest wins; two that are close run MIN_ROUNDS at least; one alone runs once."""
    measured: list[Plan] = []

    def measure(each: Plan) -> float:
        measured.append(each)
        return speeds[each.max_batch_tokens - 1]

    found = race([plan(number) for number in range(1, len(speeds) + 1)], measure, seconds=0.0)
    assert best(found).rate == max(speeds)
    assert len(best(found).rates) == (MIN_ROUNDS if len(speeds) > 1 else 1)
    slowest = min(found, key=lambda trial: trial.rate)
    assert measured.count(slowest.plan) == 1


def test_every_other_round_runs_backwards() -> None:
    """What comes first in one round comes last in the next, so that none always follows the same one."""
    order: list[int] = []

    def measure(each: Plan) -> float:
        order.append(each.max_batch_tokens)
        return 100.0

    race([plan(1), plan(2)], measure, seconds=0.0)
    assert order == [1, 2, 2, 1] * (MIN_ROUNDS // 2)


def lone(ordinary: Sequence[float], other: Sequence[float], threads: int = 2) -> LoneTimes:
    return LoneTimes(threads, (8, 16, 32, 64), ordinary, other)


@pytest.mark.parametrize(
    ("ordinary", "other", "length"),
    [
        ((1, 2, 4, 8), (2, 2.5, 3, 5), 32),
        ((1, 2, 4, 8), (0.5, 1, 2, 4), 8),
        ((1, 2, 4, 8), (0.5, 1, 5, 4), 64),  # not always faster before that
        ((1, 2, 4, 8), (0.5, 1, 2, 7.9), None),  # not by the margin at the longest
    ],
)
def test_a_lone_session_pays_from_the_length_on_where_it_is_always_faster(
    ordinary: Sequence[float], other: Sequence[float], length: int | None
) -> None:
    """By the margin, at every measured length from there on."""
    assert lone(ordinary, other).pays_from == length


def test_a_lone_tickets_time_is_that_of_the_session_it_takes() -> None:
    """Short ones take the ordinary session, long ones the lone one; lengths in between lie in between."""
    times = lone((1, 2, 4, 8), (2, 2.5, 3, 5))
    assert [times.milliseconds(length) for length in (8, 16, 24, 32, 48, 64)] == [1, 2, 3, 3, 4, 5]
    assert times.median([8, 16, 64]) == 2


def test_the_threads_are_taken_that_answer_these_tickets_soonest() -> None:
    """Tickets of the bundle's own lengths decide; where they are too short for either, the longest possible one."""
    two, four = lone((1, 2, 4, 8), (1, 1.5, 3, 6), 2), lone((1, 2, 4, 8), (2, 3, 3.5, 4), 4)
    assert fastest_alone([two, four], [16, 16, 32]) is two
    assert fastest_alone([two, four], [64, 64, 8]) is four
    assert fastest_alone([two, four], [8]) is four


def test_lengths_and_threads_double_up_to_what_there_is() -> None:
    """The longest ticket and all cores are among them, also when they are no power of two."""
    assert ladder(100) == [8, 16, 32, 64, 100]
    assert ladder(8) == [8]
    assert [doubling(cores) for cores in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def tickets(lengths: Sequence[int]) -> list[TokenizedTicket]:
    return [TokenizedTicket(Encoding(tuple(range(length)), truncated=False), length) for length in lengths]


def rounds_of(loop: ClosedLoop, count: int, runners: int) -> list[list[TokenizedTicket]]:
    """The batches of so many takes, with as many out at a time as there are runners and tickets for them."""
    taken: list[list[TokenizedTicket]] = []
    out: deque[list[TokenizedTicket]] = deque()
    for _ in range(count):
        if len(out) == runners or sum(map(len, out)) == count:
            loop.give_back(out.popleft())
        taken.append(loop.take())
        out.append(taken[-1])
        together = [id(ticket) for batch in out for ticket in batch]
        assert len(set(together)) == len(together)
    for batch in out:
        loop.give_back(batch)
    return taken


@given(
    st.lists(st.sampled_from([8, 16, 24, 64, 128]), min_size=1, max_size=40),
    st.integers(1, 256),
    st.integers(1, 4),
)
def test_in_the_closed_loop_every_ticket_has_its_turn_and_none_is_lost(
    lengths: list[int], budget: int, runners: int
) -> None:
    """As many batches as there are tickets run each at least once, within the budget and in one batch at a time."""
    line = tickets(lengths)
    loop = ClosedLoop(line, Packing(budget, 0.1), runners)
    for _ in range(2):
        batches = rounds_of(loop, len(line), runners)
        assert {id(ticket) for batch in batches for ticket in batch} == {id(ticket) for ticket in line}
        assert all(len(batch) == 1 or len(batch) * max(map(length_of, batch)) <= budget for batch in batches)


def length_of(ticket: TokenizedTicket) -> int:
    return ticket.length


def test_free_runners_share_what_waits() -> None:
    """Of two free runners the first takes half; the second, alone free, takes the rest."""
    loop = ClosedLoop(tickets([8] * 8), Packing(1024, 0.1), 2)
    assert [len(loop.take()), len(loop.take())] == [4, 4]
    loop = ClosedLoop(tickets([8] * 9), Packing(1024, 0.1), 3)
    assert [len(loop.take()) for _ in range(3)] == [3, 3, 3]


def test_runners_side_by_side_share_the_tickets_and_end() -> None:
    """Two threads on fewer tickets than they could take: each waits for the other, and both come to an end."""
    seen: set[tuple[int, ...]] = set()

    def infer(encodings: Sequence[Encoding]) -> None:
        seen.update(encoding.ids for encoding in encodings)

    rate = tokens_per_second(infer, ClosedLoop(tickets([8, 16, 24]), Packing(64, 1.0), 2), 2, seconds=0.05)
    assert rate > 0
    assert seen == {tuple(range(length)) for length in (8, 16, 24)}


def test_what_a_run_raises_ends_the_measuring() -> None:
    """No thread is left waiting for tickets that a failed run had taken."""

    def infer(encodings: Sequence[Encoding]) -> None:
        raise ValueError(len(encodings))

    with pytest.raises(ValueError, match="1"):
        tokens_per_second(infer, ClosedLoop(tickets([8]), Packing(64, 1.0), 2), 2, seconds=0.05)


def test_every_plan_meets_the_same_tickets_in_the_same_order() -> None:
    """The line is as long as asked, mixed, and the same each time; a repeated ticket is another one."""
    few = tickets([8, 16, 24])
    line = waiting_line(few, 7)
    assert [ticket.length for ticket in line] == [ticket.length for ticket in waiting_line(few, 7)]
    assert sorted(ticket.length for ticket in line) == [8, 8, 8, 16, 16, 24, 24]
    assert len({id(ticket) for ticket in line}) == 7
