import numpy as np
import pytest

from models.index_file import unit
from service.similar import nearest
from service.similar.nearest import Nearest, varied


def test_nearest_are_those_of_a_full_sort() -> None:
    vectors = unit(np.random.default_rng(3).standard_normal((500, 16)).astype(np.float32))
    query = vectors[7]
    best = np.argsort(-(vectors @ query), kind="stable")[:5]
    found = Nearest([str(number) for number in range(500)], vectors).of(query, 5)
    assert [int(name) for name, _ in found] == best.tolist()
    assert found[0][1] > 0.999


def test_of_many_rows_the_nearest_are_found_by_the_principal_axes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "ALL_ROWS", 100)
    monkeypatch.setattr(nearest, "AXES", 12)
    monkeypatch.setattr(nearest, "CANDIDATES", 200)
    random = np.random.default_rng(3)
    # As encoders have it, most of the variance lies along few axes.
    spread = random.standard_normal((32, 32)) * np.geomspace(1, 0.02, 32)
    vectors = unit((random.standard_normal((2000, 32)) @ spread.T).astype(np.float32))
    names = [str(number) for number in range(2000)]
    made, full = Nearest.over(names, vectors), Nearest(names, vectors)
    assert made.along is not None
    assert made.along.shape == (2000, 12)
    queries = unit(vectors[::50] + 0.02 * random.standard_normal((40, 32)).astype(np.float32))
    for query in queries:
        found, true = made.of(query, 5), full.of(query, 5)
        assert [name for name, _ in found] == [name for name, _ in true]
        np.testing.assert_allclose([each for _, each in found], [each for _, each in true], atol=1e-6)


def test_few_rows_are_compared_in_full() -> None:
    assert Nearest.over(["a"], unit(np.ones((1, 300), dtype=np.float32))).along is None


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
