from models.encoding import Encoding
from service.similar.vectors import batches


def test_every_text_is_in_one_batch_of_its_length_and_within_the_limit() -> None:
    lengths = [3, 90, 4, 3, 88, 300, 5]
    encodings = [Encoding(tuple(range(length)), False) for length in lengths]
    found = list(batches(encodings, 200))
    assert sorted(row for rows in found for row in rows) == list(range(len(lengths)))
    for rows in found:
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= 200
    assert found == [[0, 3, 2, 6], [4, 1], [5]]
    assert list(batches([], 200)) == []
