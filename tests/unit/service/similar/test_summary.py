"""Sentences of a text, and those that are chosen."""

import numpy as np
import pytest

from models.index_file import unit
from service.similar.summary import LEAST_CHARACTERS, MOST_SENTENCES, candidates, chosen, sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It broke. Please help! Why?", ["It broke.", "Please help!", "Why?"]),
        (
            "Dr. Smith of Acme Inc. called at 3.15 p.m. about it.",
            ["Dr. Smith of Acme Inc. called at 3.15 p.m. about it."],
        ),
        ("One line\nthat goes on\n\nAnother paragraph", ["One line that goes on", "Another paragraph"]),
        ("Steps:\n- open it\n- close it\n2) wait", ["Steps:", "- open it", "- close it", "2) wait"]),
        ("包裹在哪里？请告诉我。", ["包裹在哪里？", "请告诉我。"]),
        ("He said “no.” Then he left.", ["He said “no.", "Then he left."]),
        ("", []),
    ],
)
def test_text_is_cut_at_the_ends_of_sentences(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


def test_short_text_has_no_summary() -> None:
    assert candidates("The lamp is broken. " * 5) == []


def test_greetings_and_repetitions_are_no_candidates() -> None:
    filler = [f"Sentence number {number} tells of the order and of its parcel." for number in range(20)]
    text = "Hello there!\n\n" + " ".join([*filler, filler[0]]) + "\n\nBest regards"
    assert len(text) > LEAST_CHARACTERS
    assert candidates(text) == filler


def test_of_a_very_long_text_head_and_tail_are_candidates() -> None:
    filler = [f"Sentence number {number} tells of the order." for number in range(200)]
    found = candidates(" ".join(filler))
    assert len(found) == MOST_SENTENCES
    assert (found[0], found[-1]) == (filler[0], filler[-1])


def test_chosen_are_near_the_centre_unlike_each_other_and_in_reading_order() -> None:
    # Three near copies of the main point, a second point, and an outlier.
    rows = [[0.1, 0.9, 0.0], [1, 0.3, 0.0], [1, 0.31, 0.0], [1, 0.29, 0.0], [0, 0, 1]]
    vectors = unit(np.array(rows, dtype=np.float32))
    assert chosen(vectors, 1) in ([1], [2], [3])
    first, second = chosen(vectors, 2)
    assert first == 0
    assert second in (1, 2, 3)
    assert chosen(vectors, 9) == [0, 1, 2, 3, 4]
