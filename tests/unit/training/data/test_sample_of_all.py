"""Labels by their source: what may be measured on, what teaches with which weight, and what people are warned of."""

from dataclasses import replace
from datetime import UTC, datetime

from models.label_source import LabelSource
from models.ticket import Ticket
from training.data.draw import FEWEST, is_checked, sample_of_all, source_advice, weighed
from training.data.example import Example
from training.data.prepared import distinct_rows
from training.data.split import PARTS, split_later, split_rows
from training.recipe import DataRecipe, Recipe

SEED = 13


def row(number: int, source: LabelSource | None, month: int = 1, split: str = "") -> Example:
    text = f"ticket {number} of number {number * 7} says {number * 13}"
    label = ("billing", "sales")[number % 2]
    date = datetime(2026, month, 1, tzinfo=UTC)
    ticket = Ticket(subject="", body=text)
    return Example(number, ticket, {"department": label}, split, date, label_source=source, text=text)


def months(audited: int) -> list[Example]:
    """300 tickets of before the router; then 200 of its own routes, 100 of people, and audited ones."""
    counts = ((300, None, 1), (200, LabelSource.ROUTER_UNCHECKED, 2), (100, LabelSource.AGENT, 2),
              (audited, LabelSource.AUDIT, 2))  # fmt: skip
    numbers = iter(range(2, 10_000))
    return [row(next(numbers), source, month) for count, source, month in counts for _ in range(count)]


def of_source(rows: list[Example] | tuple[Example, ...], source: LabelSource | None) -> int:
    return sum(item.label_source is source for item in rows)


def test_without_a_router_all_rows_stand_for_all_mail() -> None:
    rows = [row(number, LabelSource.CLOSE) for number in range(5)]
    assert sample_of_all(rows) == rows


def test_audited_rows_and_those_from_before_the_router_stand_for_all_mail() -> None:
    """What people chose since then is no sample: of the routed tickets they saw the wrong ones only."""
    found = sample_of_all(months(50))
    assert (len(found), of_source(found, None), of_source(found, LabelSource.AUDIT)) == (350, 300, 50)


def test_with_too_few_such_rows_all_checked_ones_must_do() -> None:
    rows = [item for item in months(50) if item.label_source is not None]
    assert len(sample_of_all(rows)) == 150
    assert any(f"{FEWEST - 50} more are needed" in line for line in source_advice(rows))


def test_unchecked_rows_train_at_their_weight_and_are_never_measured_on() -> None:
    """Neither drawn for a measuring part nor where the file itself puts them there."""
    rows = [*months(150), row(5000, LabelSource.ROUTER_UNCHECKED, 2, split="test")]
    recipe = Recipe(data=DataRecipe(unchecked_weight=0.25, near_duplicates=1.0))
    found = split_rows(rows, recipe, SEED)
    assert all(is_checked(item) for part in PARTS if part != "train" for item in found[part])
    assert {item.weight for item in found["train"] if not is_checked(item)} == {0.25}
    assert {item.weight for item in found["train"] if is_checked(item)} == {1.0}
    assert of_source(found["train"], LabelSource.ROUTER_UNCHECKED) == 200
    assert sum(len(found[part]) for part in PARTS) + found.removed.unchecked == len(rows)


def test_calibration_takes_audited_rows_first() -> None:
    """And none that people labelled because the router had not, or had routed it wrong."""
    recipe = Recipe(data=DataRecipe(near_duplicates=1.0))
    rows = months(250)
    undated = [Example(each.line, each.ticket, each.labels, "", label_source=each.label_source) for each in rows]
    found = split_rows(undated, recipe, SEED)
    assert of_source(found["calibration"], LabelSource.AUDIT) == len(found["calibration"]) > 100


def test_weight_0_leaves_unchecked_rows_out() -> None:
    rows = months(0)
    assert len(weighed(rows, 0.0)) == 400
    assert len(weighed(rows, 0.5)) == 600


def test_of_equal_texts_the_checked_one_stays() -> None:
    """Whatever their order in the file."""
    first, second = row(4, LabelSource.ROUTER_UNCHECKED), row(5, LabelSource.AGENT)
    found, _ = distinct_rows([first, replace(second, text=first.text)])
    assert [item.label_source for item in found] == [LabelSource.AGENT]


def test_labels_of_the_router_that_dominate_are_warned_of() -> None:
    rows = months(150)
    assert not source_advice(rows)
    mostly = [*rows, *(row(number, LabelSource.ROUTER_UNCHECKED, 2) for number in range(6000, 6700))]
    assert "900 of 1450 labels are the router's own" in source_advice(mostly)[0]


def test_later_rows_plan_with_a_third_and_test_with_the_rest() -> None:
    """Training rows of the file are left out, and so is whatever is no sample of all mail."""
    rows = [*months(150), row(7000, LabelSource.AUDIT, 2, split="train")]
    later = [item for item in rows if item.created_at and item.created_at.month == 2]
    found = split_later(later, Recipe(data=DataRecipe(near_duplicates=1.0)), SEED)
    assert (len(found["train"]), len(found["validation"]), len(found["calibration"])) == (0, 50, 100)
    assert (found.removed.unchecked, found.removed.selected) == (200, 100)
