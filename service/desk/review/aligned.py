"""What of a text the model read, and what was cut."""

from difflib import SequenceMatcher
from typing import NamedTuple

MOST_LINES = 1500
"""Of either text: beyond, comparing takes too long, and the whole is shown after what the model read."""


class Part(NamedTuple):
    """`lines` of a text that the model read, or that were cut."""

    text: str
    cut: bool
    lines: int


def aligned(read: str, original: str | None) -> list[Part]:
    """All that the model read, in its order, with the lines that were cut where they stood."""
    if original is None:
        return _parts([(read.split("\n"), False)])
    one, other = original.split("\n"), read.split("\n")
    if max(len(one), len(other)) > MOST_LINES:
        return _parts([(other, False), (one, True)])
    found: list[tuple[list[str], bool]] = []
    for _, start, end, read_start, read_end in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        same = one[start:end] == other[read_start:read_end]
        if not same:
            found.append((one[start:end], True))
        found.append((other[read_start:read_end], False))
    return _parts(found)


def _parts(found: list[tuple[list[str], bool]]) -> list[Part]:
    parts = []
    for lines, cut in found:
        text = "\n".join(lines)
        # Blank lines that went with what was cut are no news.
        if text.strip() if cut else lines:
            parts.append(Part(text.strip("\n") if cut else text, cut, sum(1 for line in lines if line.strip())))
    return parts
