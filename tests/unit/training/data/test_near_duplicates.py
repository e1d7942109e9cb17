"""Clusters of nearly equal texts."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.near_duplicates import near_duplicate_clusters

texts = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=9).map(" ".join), max_size=25)


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[n : n + 3]) for n in range(max(len(words) - 2, 1))}


def reference(drawn: list[str], jaccard: float) -> list[list[int]]:
    """Compares every pair, and follows neighbours until none is left."""
    sets = [shingles(text) for text in drawn]
    found, left = [], set(range(len(drawn)))
    while left:
        cluster, edge = set[int](), {min(left)}
        while edge:
            cluster |= edge
            edge = {
                n for n in left - cluster for m in edge if len(sets[n] & sets[m]) >= jaccard * len(sets[n] | sets[m])
            }
        left -= cluster
        found.append(sorted(cluster))
    return [cluster for cluster in found if len(cluster) > 1]


@given(texts, st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))
def test_clusters_equal_those_of_comparing_every_pair(drawn: list[str], jaccard: float) -> None:
    """No pair at or above the threshold is missed, and none below it is included."""
    assert near_duplicate_clusters(drawn, jaccard, largest=1000) == reference(drawn, jaccard)


@pytest.mark.parametrize(
    ("first", "second", "near"),
    [
        ("is there an auto top up option for my card", "Is there an auto top-up option, for my card?", True),
        ("please tell me why my card is not working at home", "tell me why my card is not working at home", True),
        ("how do I pay in euro with my card", "how do I pay in dollar with my card", False),
        ("where is it", "where is she", False),
        ("我的卡为什么不能用了请帮我看一下", "请问我的卡为什么不能用了请帮我看一下", True),
        ("?!", "!?", False),
    ],
)  # fmt: skip
def test_texts_that_people_call_copies_are_one_cluster(first: str, second: str, near: bool) -> None:
    """Differences in case, punctuation and one word are copies; another question of the same pattern is not."""
    assert bool(near_duplicate_clusters([first, second], 0.8, largest=10)) is near


def test_a_common_kind_of_mail_is_no_cluster() -> None:
    """More near-duplicates than a group may have are a form or an alert: not returned, and found in reasonable time."""
    alert = "the nightly backup of the server named {} has failed please look at the log files in the usual place"
    started = time.process_time()
    many = [alert.format(f"host{n}") for n in range(2000)]
    assert near_duplicate_clusters(["one two three", *many, "one two three!"], 0.7, largest=20) == [[0, 2001]]
    assert time.process_time() - started < 20


def test_no_texts_give_no_clusters() -> None:
    assert near_duplicate_clusters([], 0.8, largest=20) == []
