"""Rows → train, validation, calibration and test."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TicketRouterError
from models.fields import Field
from tests.support.rows import prepared, ticket_row
from training.data.example import Example
from training.data.prepared import MISSING, distinct_rows, label_numbers
from training.data.split import PARTS, Split, split_rows
from training.recipe import DataRecipe, Recipe, SplitRecipe

LABELS = ("billing", "sales", "technical", "returns")
LEAST = DataRecipe(minimum_rows=2)
RECIPE = Recipe(data=LEAST, split=SplitRecipe(validation=0.1, calibration=0.1))


def tickets(drawn: Sequence[tuple[int, int, str]]) -> list[Example]:
    """Rows from (which text, which label, split); few distinct texts, so that repeats occur."""
    return [
        ticket_row(line, f"message number {text}", LABELS[label], split)
        for line, (text, label, split) in enumerate(drawn, start=2)
    ]


rows = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 3), st.sampled_from(["", "", "train", "validation", "test"])),
    min_size=20,
    max_size=120,
).map(tickets)
shares = st.builds(
    SplitRecipe, validation=st.floats(0, 0.3), calibration=st.floats(0, 0.3), test=st.floats(0, 0.3)
).map(lambda split: Recipe(data=LEAST, split=split))


def split_or_none(given_rows: list[Example], recipe: Recipe, seed: int) -> Split | None:
    try:
        return split_rows(given_rows, recipe, seed)
    except TicketRouterError:
        return None


def lines(found: Split) -> dict[str, list[int]]:
    return {part: [item.line for item in found[part]] for part in PARTS}


@given(rows, shares, st.integers(0, 5))
def test_no_text_stands_in_two_parts(drawn: list[Example], recipe: Recipe, seed: int) -> None:
    """A text is in one part only, and but for the file's own test rows it stands there once."""
    found = split_or_none(drawn, recipe, seed)
    if found is None:
        return
    texts = {part: Counter(item.text for item in found[part]) for part in PARTS}
    for part in PARTS:
        others = {text for other in PARTS if other != part for text in texts[other]}
        assert not set(texts[part]) & others
        if part != "test":
            assert set(texts[part].values()) <= {1}


@given(rows, shares, st.integers(0, 5))
def test_every_row_is_somewhere(drawn: list[Example], recipe: Recipe, seed: int) -> None:
    """Each row is in one part or counted among the left out; none is in two."""
    found = split_or_none(drawn, recipe, seed)
    if found is None:
        return
    placed = [line for part in lines(found).values() for line in part]
    assert len(placed) == len(set(placed))
    gone = found.removed
    assert len(placed) + gone.duplicates + gone.empty + gone.near_duplicates + gone.scarce == len(drawn)
    assert found.removed.conflicting <= found.removed.duplicates


@given(rows, shares, st.integers(0, 5))
def test_what_is_measured_was_learned(drawn: list[Example], recipe: Recipe, seed: int) -> None:
    """Every department of the validation and calibration rows has training rows or is named as scarce."""
    found = split_or_none(drawn, recipe, seed)
    if found is None:
        return
    departments = {part: {item.labels["department"] for item in found[part]} for part in PARTS}
    assert len(departments["train"]) >= 2
    assert departments["validation"] <= departments["train"]
    assert departments["calibration"] <= departments["train"] | set(found.scarce["department"])
    assert departments["train"] & departments["validation"]
    assert departments["train"] & departments["calibration"]


@given(rows, st.integers(0, 5))
def test_the_files_own_parts_are_kept(drawn: list[Example], seed: int) -> None:
    """All the file's test rows are the test, repeats among them too; its validation rows stay validation."""
    found = split_or_none(drawn, RECIPE, seed)
    if found is None:
        return
    own = [row.line for row in drawn if row.split == "test"]
    if any(row.split for row in drawn):
        assert lines(found)["test"] == own
    for part in PARTS:
        assert all(item.split in ("", "train", part) for item in found[part])


@given(rows, shares)
def test_the_seed_decides(drawn: list[Example], recipe: Recipe) -> None:
    """The same rows and seed give the same parts."""
    first, second = split_or_none(drawn, recipe, 3), split_or_none(drawn, recipe, 3)
    assert (first and lines(first)) == (second and lines(second))


def many(count: int = 400) -> list[Example]:
    return [ticket_row(n, f"message number {n}", LABELS[0 if n % 8 else 1 + n // 8 % 3]) for n in range(2, count + 2)]


def test_another_seed_gives_other_parts() -> None:
    """Two seeds draw different rows."""
    assert lines(split_rows(many(), RECIPE, 1)) != lines(split_rows(many(), RECIPE, 2))


def test_parts_have_their_shares_of_every_department() -> None:
    """A tenth each for validation, calibration and test, rare departments among them."""
    found = split_rows(many(), RECIPE, 1)
    for part in ("validation", "calibration", "test"):
        counts = Counter(item.labels["department"] for item in found[part])
        assert counts["billing"] == pytest.approx(35, abs=1)
        assert all(counts[label] in (1, 2) for label in LABELS[1:])


def test_a_file_with_a_split_gets_no_test_of_ours() -> None:
    """A file that assigns rows itself says what its test is: a file with training rows only has none."""
    drawn = [ticket_row(row.line, row.ticket.body, str(row.labels["department"]), "train") for row in many()]
    found = split_rows(drawn, RECIPE, 1)
    assert found["test"] == ()
    assert len(found["validation"]) == pytest.approx(40, abs=4)


def test_texts_that_differ_in_case_and_space_only_are_one() -> None:
    """A repeat with other capitals or spaces is a repeat; one that contradicts the first is counted."""
    drawn = [prepared(2, "Hello  world", "a"), prepared(3, "hello world", "b"), prepared(4, "HELLO WORLD", "a")]
    kept, conflicting = distinct_rows(drawn)
    assert [item.line for item in kept] == [2]
    assert conflicting == 1


def test_a_text_in_test_and_train_is_the_tests() -> None:
    """What measures is never thinned to train more."""
    drawn = [prepared(2, "x", "a", "train"), prepared(3, "x", "a", "test"), prepared(4, "x", "b", "test")]
    assert [item.line for item in distinct_rows(drawn)[0]] == [3, 4]


def test_empty_texts_are_left_out() -> None:
    """Rows with nothing left after cleaning are counted, not trained on."""
    found = split_rows([*many(), ticket_row(900, " \n ", "billing"), ticket_row(901, "", "sales")], RECIPE, 1)
    assert found.removed.empty == 2


def alike(text: str, label: str, split: str, count: int, start: int) -> list[Example]:
    return [ticket_row(start + n, f"{text} {n}", label, split) for n in range(count)]


@pytest.mark.parametrize(
    ("drawn", "why"),
    [
        ([], "empty texts: 0; routing"),
        (alike("a", "billing", "", 50, 2), "empty texts: 1; routing"),
        (alike("a", "billing", "", 2, 2) + alike("b", "sales", "", 2, 10), "too few rows"),
        (alike("a", "billing", "test", 50, 2) + alike("b", "sales", "test", 50, 60), "empty texts: 0; routing"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(drawn: list[Example], why: str) -> None:
    """One department, or too few rows for every part: refused with the reason."""
    with pytest.raises(TicketRouterError, match=why):
        split_rows(drawn, Recipe(data=LEAST, split=SplitRecipe(validation=0.05, calibration=0.05)), 1)


def test_label_numbers_mark_what_is_missing_and_what_is_unknown() -> None:
    """A row without the field is masked; a label outside the catalogue is masked too, or marked where asked for."""
    field = Field("priority", ("high", "low"), 4)
    drawn = [prepared(n, "x", "a", priority=value) for n, value in enumerate(["low", None, "odd", "high"])]
    assert label_numbers(drawn, field).tolist() == [1, MISSING, MISSING, 0]
    assert label_numbers(drawn, field, unknown=-1).tolist() == [1, MISSING, -1, 0]
    assert label_numbers([], field).dtype == np.int64
