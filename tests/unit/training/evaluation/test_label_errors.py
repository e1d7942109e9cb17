"""Rows whose label looks wrong."""

import random
from dataclasses import replace

from tests.support.rows import prepared
from training.data.example import Example
from training.evaluation.label_errors import FOLDS, MOST, find_suspects, without_suspects

WORDS = {
    "billing": ["invoice", "refund", "charged", "amount", "paid", "credit", "card"],
    "technical": ["crash", "error", "login", "screen", "update", "reset", "server"],
    "returns": ["parcel", "label", "return", "damaged", "courier", "size", "exchange"],
}
COMMON = ["please", "could", "you", "help", "me", "with", "this", "since", "yesterday", "thanks"]


def rows(count: int, seed: int = 1) -> list[Example]:
    generator = random.Random(seed)
    labels = sorted(WORDS)
    return [
        prepared(
            1000 * seed + n,
            " ".join([*generator.sample(WORDS[labels[n % 3]], generator.choice((1, 3))), *generator.sample(COMMON, 4)]),
            labels[n % 3],
        )
        for n in range(count)
    ]


def mislabelled(item: Example) -> Example:
    labels = sorted(WORDS)
    wrong = labels[(labels.index(str(item.labels["department"])) + 1) % 3]
    return replace(item, labels={"department": wrong})


WRONG = {("train", 1000 + n) for n in range(5, 240, 20)} | {("test", 2000 + n) for n in range(3, 60, 20)}


def split() -> dict[str, list[Example]]:
    """240 training and 60 test rows; one in twenty has a wrong label."""
    parts = {"train": rows(240), "test": rows(60, seed=2)}
    return {
        part: [mislabelled(item) if (part, item.line) in WRONG else item for item in items]
        for part, items in parts.items()
    }


def test_wrong_labels_are_found_in_every_part() -> None:
    """Most wrong labels are listed, with line, part and what it should be, and before most rows that are right."""
    right = {item.line: item.labels["department"] for item in (*rows(240), *rows(60, seed=2))}
    found = find_suspects(split(), 0.8, seed=1)
    hits = [each for each in found if (each.part, each.line) in WRONG]
    assert {each.part for each in hits} == {"train", "test"}
    assert len(hits) >= 0.6 * len(WRONG)
    assert len(hits) >= 0.8 * len(found)
    assert all(each.suggested == right[each.line] != each.label for each in hits)
    assert [each.quality for each in found] == sorted(each.quality for each in found)
    assert find_suspects(split(), 0.8, seed=1) == found


def test_what_measures_does_not_teach() -> None:
    """However the test's labels are, the training rows' qualities stay the same."""
    drawn = split()
    other = drawn | {"test": [mislabelled(item) for item in drawn["test"][:6]]}
    first, second = (
        {each.line: each.quality for each in find_suspects(parts, 0.8, seed=1) if each.part == "train"}
        for parts in (drawn, other)
    )
    assert first.keys() & second.keys()
    assert all(first[line] == second[line] for line in first.keys() & second.keys())


def test_a_mistake_repeated_does_not_vouch_for_itself() -> None:
    """Near-copies with the same wrong label stand in one fold, so they are found all the same."""
    drawn = split()["train"]
    text = "invoice refund charged amount paid credit card please could you help me"
    copies = [prepared(5000 + n, f"{text} {COMMON[n]}", "technical") for n in range(3)]
    found = find_suspects({"train": [*drawn, *copies]}, 0.7, seed=1)
    assert {5000, 5001, 5002} <= {each.line for each in found}


def test_labels_of_few_rows_are_passed_over() -> None:
    """Nothing is said of a label that no fold could learn, or where no two labels are left."""
    drawn = split()
    rare = [prepared(7000 + n, f"something else {n}", "legal") for n in range(FOLDS - 1)]
    found = find_suspects({"train": [*drawn["train"], *rare]}, 0.8, seed=1)
    assert not {each.line for each in found} & {item.line for item in rare}
    assert find_suspects({"train": rare, "test": drawn["test"]}, 0.8, seed=1) == ()


def test_only_training_rows_are_left_out() -> None:
    """The opt-in exclusion takes the suspected training rows; what measures stays as it is."""
    drawn = split()
    found = find_suspects(drawn, 0.8, seed=1)
    left = {item.line for item in without_suspects(drawn["train"], found)}
    suspected = {each.line for each in found if each.part == "train"}
    assert suspected
    assert left == {item.line for item in drawn["train"]} - suspected
    assert without_suspects(drawn["test"], found) == tuple(drawn["test"])
    assert len(found) <= MOST
