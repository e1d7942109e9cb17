"""How a processor's instruction sets are read."""

from pathlib import Path

import pytest

from models.processor import instructions


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\nflags\t: other\n",
            {"fpu", "avx2", "avx512_vnni"},
        ),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\n", {"fp", "asimd", "asimddp"}),
        ("", set()),
        ("flags\n", set()),
        ("vmx flags\t: vnmi\n", set()),
    ],
)
def test_instructions_are_read_from_cpuinfo(tmp_path: Path, content: str, found: set[str]) -> None:
    """x86 and ARM kernels are understood; a file without flags gives an empty set."""
    (tmp_path / "cpuinfo").write_text(content)
    assert instructions(tmp_path / "cpuinfo") == found


def test_missing_cpuinfo_is_no_error(tmp_path: Path) -> None:
    """A missing file gives an empty set, so that fp32 serves."""
    assert instructions(tmp_path / "missing") == frozenset()
