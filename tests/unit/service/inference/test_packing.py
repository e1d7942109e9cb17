"""`service.inference.packing`: which waiting entries run together."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from service.inference.packing import Packing, WaitingEntries

LENGTHS = st.integers(1, 64).map(lambda eighths: eighths * 8)


@dataclass(eq=False)
class Entry:
    length: int


def waiting_of(lengths: list[int], packing: Packing) -> tuple[WaitingEntries[Entry], list[Entry]]:
    waiting: WaitingEntries[Entry] = WaitingEntries(packing)
    entries = [Entry(length) for length in lengths]
    for entry in entries:
        waiting.add(entry)
    return waiting, entries


@given(st.lists(LENGTHS, min_size=1, max_size=60), st.integers(8, 600), st.floats(0, 1), st.integers(1, 4))
def test_a_batch_has_the_oldest_entry_and_respects_both_limits(
    lengths: list[int], max_tokens: int, max_padding: float, runners: int
) -> None:
    """Rows x padded length stays within the token limit and padding within its share, unless the batch has one
    entry."""
    waiting, entries = waiting_of(lengths, Packing(max_tokens, max_padding))
    batch = waiting.take(runners)
    padded = len(batch) * max(entry.length for entry in batch)
    assert batch[0] is entries[0]
    assert len(batch) == 1 or padded <= max_tokens
    assert len(batch) == 1 or padded - sum(entry.length for entry in batch) <= max_padding * padded + 1e-9


@given(st.lists(LENGTHS, min_size=1, max_size=40), st.lists(LENGTHS, min_size=80, max_size=80))
def test_no_entry_starves_however_many_arrive_later(elders: list[int], younger: list[int]) -> None:
    """An entry with k entries before it runs within k + 1 batches, even if better-fitting entries keep arriving."""
    waiting, entries = waiting_of(elders, Packing(512, 0.1))
    arrivals = iter(younger)
    last, batches = entries[-1], 0
    while True:
        batches += 1
        if last in waiting.take(1):
            break
        for length in (next(arrivals), next(arrivals)):
            waiting.add(Entry(length))
    assert batches <= len(entries)


@given(st.lists(LENGTHS, max_size=60), st.data())
def test_every_entry_leaves_once_and_the_tokens_add_up(lengths: list[int], data: st.DataObject) -> None:
    """Taken or discarded, each entry leaves exactly once, and `tokens` always counts the remaining ones."""
    waiting, entries = waiting_of(lengths, Packing(512, 0.1))
    left: list[Entry] = []
    while len(waiting):
        if data.draw(st.booleans()):
            left.extend(waiting.take(1))
        else:
            entry = data.draw(st.sampled_from(entries))
            assert waiting.discard(entry) == (entry not in left)
            left.extend(() if entry in left else (entry,))
        assert waiting.tokens == sum(entry.length for entry in entries if entry not in left)
    assert len(left) == len(entries)
    assert set(map(id, left)) == set(map(id, entries))


def test_free_runners_share_the_work() -> None:
    """With two free runners, four equal entries make two batches of two."""
    waiting, _ = waiting_of([16] * 4, Packing(512, 0.1))
    assert [len(waiting.take(2)), len(waiting.take(1))] == [2, 2]


def test_short_entries_are_not_padded_to_a_long_one() -> None:
    """Padding them would cost more than batching saves."""
    waiting, entries = waiting_of([256, 16, 16, 248], Packing(1024, 0.1))
    assert waiting.take(1) == [entries[0], entries[3]]
    assert waiting.take(1) == [entries[1], entries[2]]


def test_an_entry_longer_than_the_budget_runs_alone() -> None:
    """A token limit below the longest ticket makes it slower but does not refuse it."""
    waiting, entries = waiting_of([512, 8], Packing(64, 1.0))
    assert waiting.take(1) == [entries[0]]
