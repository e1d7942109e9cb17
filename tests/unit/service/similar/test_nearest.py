import numpy as np

from models.index_file import unit
from service.similar.nearest import Nearest


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
