"""The file of closed tickets, written and read."""

from pathlib import Path

import numpy as np
import pytest

from models.index_file import (
    ClosedTicket,
    Header,
    IndexFileError,
    pack_vector,
    read_index,
    unit,
    unpack_vector,
    write_index,
)


def closed(name: str, text: str = "Where is my parcel?", answer: str = "") -> ClosedTicket:
    vector = pack_vector(unit(np.array([1.0, 2.0, 3.0], dtype=np.float32)))
    return ClosedTicket(id=name, department="returns", text=text, answer=answer, at=1_700_000_000_000, vector=vector)


def written(path: Path, tickets: int = 3) -> Path:
    rows = [closed(f"T-{number}") for number in range(tickets)]
    write_index(path, Header(bundle="0123456789abcdef", tickets=tickets), rows)
    return path


def test_what_is_written_is_read_again_and_for_its_owner_only(tmp_path: Path) -> None:
    path = written(tmp_path / "index.jsonl")
    header, tickets = read_index(path)
    assert header.bundle == "0123456789abcdef"
    assert list(tickets) == [closed(f"T-{number}") for number in range(3)]
    assert path.stat().st_mode & 0o077 == 0


def test_cosine_of_packed_vectors_is_off_by_less_than_a_thousandth() -> None:
    random = np.random.default_rng(1)
    vectors = unit(random.standard_normal((50, 384)).astype(np.float32))
    packed = np.array([unpack_vector(pack_vector(vector)) for vector in vectors])
    assert np.abs(vectors @ vectors.T - packed @ packed.T).max() < 1e-3


def test_text_of_only_zeros_has_no_direction_and_no_error() -> None:
    assert unit(np.zeros((2, 3), dtype=np.float32)).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("content", [b"", b"id,text\n1,x\n", b'{"format":"ticket-router-index-9"}\n', b"\xff\xfe\n"])
def test_file_of_another_kind_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.jsonl"
    path.write_bytes(content)
    with pytest.raises(IndexFileError, match="not an index of this release"):
        read_index(path)


def test_damaged_or_missing_lines_are_found(tmp_path: Path) -> None:
    path = written(tmp_path / "index.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(IndexFileError, match="2 of 3 tickets"):
        list(read_index(path)[1])
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"vector":"', b'"vector":"!'), lines[3]]))
    with pytest.raises(IndexFileError, match="line 3 is damaged"):
        list(read_index(path)[1])
