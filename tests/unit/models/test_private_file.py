"""`models.private_file`: a file is whole or not there, and its owner's alone."""

import stat
from pathlib import Path

import pytest

from models.private_file import private_file


def test_the_file_has_its_name_when_it_is_complete(tmp_path: Path) -> None:
    """Until then the former file is there; the new one is readable for its owner only."""
    path = tmp_path / "decisions.jsonl"
    path.write_bytes(b"former")
    with private_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"former"
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def write_half() -> None:
        with private_file(tmp_path / "decisions.jsonl") as file:
            file.write(b"half")
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        write_half()
    assert list(tmp_path.iterdir()) == []
