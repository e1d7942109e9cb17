"""What belongs together stays together, where dates are given the newest is the test, and scarce labels are named."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TicketRouterError
from tests.support.rows import ticket_row
from training.data.draw import wanted_shares
from training.data.example import Example
from training.data.split import PARTS, Split, split_rows
from training.recipe import DataRecipe, Recipe, SplitRecipe

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
RECIPE = Recipe(data=DataRecipe(minimum_rows=2))


def row(number: int, *, label: str = "", text: str = "", **more: object) -> Example:
    made = ticket_row(
        number, text or f"{number} alone with words of{number} its own{number}", label or "ab"[number % 2]
    )
    sender = str(more.pop("sender", ""))
    return replace(made, ticket=replace(made.ticket, sender=sender), **more)  # type: ignore[arg-type]


def dated(count: int, **more: object) -> list[Example]:
    return [row(n, created_at=FIRST + timedelta(days=n), **more) for n in range(count)]


def place(found: Split) -> dict[int, str]:
    return {item.line: part for part in PARTS for item in found[part]}


ties = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(0, 30)), min_size=40, max_size=100)


@given(ties, st.integers(0, 3))
def test_no_group_stands_in_two_parts(drawn: list[tuple[int, int, int]], seed: int) -> None:
    """Rows of one thread, of one requester, or of nearly the same text are in one part; every row is somewhere."""
    rows = [
        row(
            n,
            thread=f"t{n}" if thread < 6 else f"thread {n // 8}",
            sender=f"{n}@x.org" if sender < 6 else f"Ann <ann{n // 8}@X.org>",
            text=""
            if copy > 3
            else f"please send me the very same invoice {n // 8} again as soon as you can thanks {n}",
        )
        for n, (thread, sender, copy) in enumerate(drawn)
    ]
    try:
        found = split_rows(rows, RECIPE, seed)
    except TicketRouterError:
        return
    parts = place(found)
    assert len(parts) + found.removed.scarce == len(rows)
    for kind in (lambda item: item.thread, lambda item: item.ticket.sender):
        for key in {kind(item) for item in rows}:
            assert len({parts[item.line] for item in rows if kind(item) == key and item.line in parts}) <= 1
    copies = {n // 8: set() for n in range(len(rows))}  # type: dict[int, set[str]]
    for n, (_, _, copy) in enumerate(drawn):
        if copy <= 3 and n in parts:
            copies[n // 8].add(parts[n])
    assert all(len(found_in) <= 1 for found_in in copies.values())


@pytest.mark.parametrize("key", ["thread", "sender"])
def test_what_half_of_the_rows_share_does_not_tie_them(key: str) -> None:
    """A no-reply address, or a thread column that holds one value: its rows are drawn singly."""
    found = split_rows([row(n, **({key: "noreply@x.org"} if n % 4 else {})) for n in range(400)], RECIPE, 1)
    assert all(len({item.line for item in found[part] if item.line % 4}) > 10 for part in PARTS)


def test_rows_near_the_files_own_test_are_not_learned_from() -> None:
    """A training row that nearly repeats a test row is left out and counted; the test keeps all of its own."""
    text = "I would like to know why my card payment was declined in the shop yesterday"
    test = replace(row(900, text=text), split="test")
    found = split_rows([*(row(n) for n in range(200)), row(800, text=f"{text} evening"), test], RECIPE, 1)
    assert [item.line for item in found["test"]] == [900]
    assert found.removed.near_duplicates == 1
    assert 800 not in place(found)


def test_with_dates_the_newest_rows_are_the_test() -> None:
    """Every row dated: the test is the newest tenth, calibration is from the newer half of the rest."""
    found = split_rows(dated(1000), RECIPE, 1)
    assert found.by_time
    assert [item.line for item in found["test"]] == list(range(900, 1000))
    assert all(450 <= item.line < 900 for item in found["calibration"])
    assert len(found["calibration"]) == pytest.approx(200, abs=3)
    assert len(found["validation"]) == pytest.approx(100, abs=3)
    assert max(item.line for item in found["train"]) > 880


def test_one_undated_row_makes_the_order_random() -> None:
    """`auto` draws at random where a date is missing; `time` refuses and says how many are."""
    rows = [*dated(300), row(900)]
    assert not split_rows(rows, RECIPE, 1).by_time
    assert not split_rows(dated(300), RECIPE.model_copy(update={"split": SplitRecipe(order="random")}), 1).by_time
    with pytest.raises(TicketRouterError, match="rows without a date: 1"):
        split_rows(rows, RECIPE.model_copy(update={"split": SplitRecipe(order="time")}), 1)


def test_a_new_department_of_the_test_period_is_named_and_measured() -> None:
    """Its rows stay in the test, where they count as wrong; one that is gone by then is named too."""
    rows = [replace(item, labels={"department": "new"}) if item.line >= 290 else item for item in dated(300)]
    gone = [replace(item, labels={"department": "gone"}) if item.line < 40 else item for item in rows]
    found = split_rows(gone, RECIPE, 1)
    assert found.scarce["department"] == {"new": 0}
    assert sum(item.labels["department"] == "new" for item in found["test"]) == 10
    assert any("new (0)" in line for line in found.advice)
    assert any("no test row of gone" in line for line in found.advice)


def test_old_rows_are_left_out() -> None:
    """`data.months` counts back from the newest ticket; rows without a date stay; without any date it is refused."""
    recipe = Recipe(data=DataRecipe(minimum_rows=2, months=3))
    found = split_rows([*dated(300), row(900)], recipe, 1)
    assert found.removed.old == pytest.approx(299 - 91, abs=1)
    assert 900 in place(found)
    with pytest.raises(TicketRouterError, match=r"data\.months: no row has a date"):
        split_rows([row(n) for n in range(50)], recipe, 1)


def test_scarce_departments_are_not_learned_but_still_met() -> None:
    """Too few training rows: gone from train and validation, named, and kept where the promise is made and measured."""
    rows = [row(n, label="rare" if n % 40 == 0 else "") for n in range(400)]
    found = split_rows(rows, Recipe(data=DataRecipe(minimum_rows=10)), 1)
    assert set(found.scarce["department"]) == {"rare"}
    for part in ("train", "validation"):
        assert all(item.labels["department"] != "rare" for item in found[part])
    met = sum(item.labels["department"] == "rare" for part in PARTS for item in found[part])
    assert met + found.removed.scarce == 10
    assert found.removed.scarce == found.scarce["department"]["rare"] + (10 - met - found.scarce["department"]["rare"])


def test_a_further_fields_scarce_value_becomes_missing() -> None:
    """Its rows still teach the department."""
    rows = [
        replace(row(n), labels={"department": "ab"[n % 2], "mood": "odd" if n == 7 else "fine"}) for n in range(200)
    ]
    found = split_rows(rows, Recipe(data=DataRecipe(minimum_rows=10)), 1)
    assert set(found.scarce["mood"]) == {"odd"}
    assert len(place(found)) == 200
    assert {item.labels["mood"] for item in found["train"]} <= {"fine", None}


@pytest.mark.parametrize(
    ("rows", "validation", "calibration"), [(100, 0.1, 0.2), (6000, 0.0833, 0.1333), (90000, 0.05, 0.1)]
)
def test_small_data_gives_larger_shares(rows: int, validation: float, calibration: float) -> None:
    """500 rows suffice for validation and 800 for calibration, within bounds; a share that is given is taken."""
    found = wanted_shares(SplitRecipe(), rows)
    assert (found["validation"], found["calibration"]) == pytest.approx((validation, calibration), abs=1e-4)
    assert wanted_shares(SplitRecipe(calibration=0.3), rows)["calibration"] == 0.3
