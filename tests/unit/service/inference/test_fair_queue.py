"""`service.inference.fair_queue` and its part in packing: no caller gets more than its share while others wait."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from service.inference.fair_queue import FairQueue
from service.inference.packing import MAX_BATCHES_AHEAD, Packing, WaitingEntries

LENGTHS = st.integers(1, 64).map(lambda eighths: eighths * 8)
LONGEST = 512
NOISY, POLITE = "noisy", "polite"


@dataclass(eq=False)
class Entry:
    length: int
    caller: str | None = None


def waiting_of(entries: list[Entry], *, max_tokens: int = 256) -> WaitingEntries[Entry]:
    waiting: WaitingEntries[Entry] = WaitingEntries(Packing(max_tokens, 0.1))
    for entry in entries:
        waiting.add(entry, entry.caller)
    return waiting


def test_new_caller_is_served_before_the_long_queue_of_another() -> None:
    """A thousand tickets of one caller delay the first ticket of another only by the running batch."""
    waiting = waiting_of([Entry(64, NOISY) for _ in range(1000)])
    waiting.take(1)
    polite = Entry(64, POLITE)
    waiting.add(polite, POLITE)
    assert polite in waiting.take(1)


@given(st.lists(LENGTHS, min_size=30, max_size=60), st.lists(LENGTHS, min_size=30, max_size=60), st.integers(64, 1024))
def test_two_busy_callers_get_equal_shares(one: list[int], other: list[int], max_tokens: int) -> None:
    """While both wait, their tokens differ by at most MAX_BATCHES_AHEAD + 1 batches and one ticket each."""
    waiting = waiting_of([Entry(length, NOISY) for length in one * 3], max_tokens=max_tokens)
    for length in other * 3:
        waiting.add(Entry(length, POLITE), POLITE)
    served: Counter[str | None] = Counter()
    while waiting.tokens_of(NOISY) and waiting.tokens_of(POLITE):
        for entry in waiting.take(1):  # includes entries that fill the batch ahead of their position
            served[entry.caller] += entry.length
    assert abs(served[NOISY] - served[POLITE]) <= (MAX_BATCHES_AHEAD + 1) * max_tokens + 2 * LONGEST


def test_tickets_that_fit_every_batch_get_no_larger_share() -> None:
    """A caller with tickets of all lengths would fit into every batch and run long before its position."""
    waiting = waiting_of([Entry(length, NOISY) for length in range(128, 0, -8) for _ in range(60)])
    for length in range(8, 136, 8):
        waiting.add(Entry(length, POLITE), POLITE)
    served: Counter[str | None] = Counter()
    while waiting.tokens_of(POLITE):
        for entry in waiting.take(1):
            served[entry.caller] += entry.length
    assert served[NOISY] <= served[POLITE] + (MAX_BATCHES_AHEAD + 1) * 256


def test_one_batch_is_shared_equally() -> None:
    """Half of a batch of short tickets belongs to each caller, even if one of them came first."""
    waiting = waiting_of([Entry(16, NOISY) for _ in range(100)])
    for _ in range(100):
        waiting.add(Entry(16, POLITE), POLITE)
    callers = Counter(entry.caller for _ in range(6) for entry in waiting.take(1))
    assert callers == {NOISY: 48, POLITE: 48}


def test_unused_share_is_not_accumulated() -> None:
    """A caller that was idle starts at the current tag, without the share it did not use."""
    queue = FairQueue()
    for _ in range(50):
        queue.serve(queue.add(NOISY, 10))
    assert queue.add(POLITE, 10) >= queue.add(NOISY, 10) - 10


def test_callers_with_one_entry_are_all_ahead_of_a_new_caller() -> None:
    """Their tags are not higher than the tag of the new caller."""
    queue = FairQueue()
    for number in range(50):
        queue.add(f"caller {number}", 512)
    assert queue.cost_ahead("another", 512) == 50 * 512
    assert queue.cost_ahead("another", 8) == 50 * 8


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 100)), max_size=40),
    st.sampled_from("abcd"),
    st.integers(0, 100),
)
def test_cost_ahead_is_the_callers_own_cost_and_as_much_of_each_other_caller(
    added: list[tuple[str, int]], caller: str, cost: int
) -> None:
    """For a single caller: its whole queue."""
    queue, own = FairQueue(), Counter[str]()
    for name, cost in added:
        queue.add(name, cost)
        own[name] += cost
    others = sum(min(own[caller] + cost, waiting) for name, waiting in own.items() if name != caller)
    assert queue.cost_ahead(caller, cost) == own[caller] + others
    assert queue.waiting_cost(caller) == own[caller]
    assert queue.total == own.total()
