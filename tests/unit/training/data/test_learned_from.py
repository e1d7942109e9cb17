"""Whether a bundle was trained on one of the files."""

from pathlib import Path

from training.data.source import TicketFile, learned_from


def test_any_of_several_files_is_recognised(tmp_path: Path) -> None:
    """Each of a bundle's files, at any position among the given files, and under another name."""
    old, second, later = (tmp_path / name for name in ("old.csv", "second.csv", "later.csv"))
    for path in (old, second, later):
        path.write_text(path.name, "utf-8")
    origin = TicketFile(old, more=(second,)).origin()
    copy = tmp_path / "copy.csv"
    copy.write_bytes(second.read_bytes())
    assert learned_from(TicketFile(later, more=(copy,)), [origin]) == copy
    assert learned_from(TicketFile(old), [origin]) == old
    assert learned_from(TicketFile(later), [origin, {}]) is None
