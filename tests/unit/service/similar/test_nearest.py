import numpy as np
import pytest

from models.index_file import unit
from service.similar.nearest import Nearest, varied


def test_nearest_are_those_of_a_full_sort() -> None:
    vectors = unit(np.random.default_rng(3).standard_normal((500, 16)).astype(np.float32))
    query = vectors[7]
    best = np.argsort(-(vectors @ query), kind="stable")[:5]
    found = Nearest([str(number) for number in range(500)], vectors).of(query, 5)
    assert [int(name) for name, _ in found] == best.tolist()
    assert found[0][1] > 0.999


def test_fewer_than_asked_for_and_other_widths_are_no_error() -> None:
    vectors = unit(np.ones((2, 4), dtype=np.float32))
    assert len(Nearest(["a", "b"], vectors).of(vectors[0], 5)) == 2
    assert Nearest(["a", "b"], vectors).of(np.ones(3, dtype=np.float32), 5) == []
    assert Nearest([], vectors[:0]).of(vectors[0], 5) == []


@pytest.mark.parametrize(
    ("labels", "places"),
    [
        ("aaaaab", [0, 1, 2, 3, 5]),
        ("aaaaaa", [0, 1, 2, 3, 4]),
        ("abcabc", [0, 1, 2, 3, 4]),
        ("aabaab", [0, 1, 2, 3, 5]),
    ],
)
def test_at_most_three_of_one_department_while_there_are_others(labels: str, places: list[int]) -> None:
    assert varied(labels, 5, 3) == places
