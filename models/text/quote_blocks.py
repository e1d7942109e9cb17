"""Decides whether a run of `>` lines is a quoted mail; the same sign opens shell output, a chat line, a passage.

Evidence comes first: the subject, a marker above, an attribution, a header or a second level inside. Only where the
ticket has no subject at all does the shape decide: a long block at either end of the mail, or answers between blocks.
Used by `quotes`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.text.attribution import attribution_end
from models.text.header_block import block_end

QUOTE = re.compile(r"\s{0,3}(?:[>＞»]|&gt;)")
ONE_QUOTE = re.compile(r"\s{0,3}(?:[>＞»]|&gt;) ?")
_ALL_QUOTES = re.compile(r"(?:\s{0,3}(?:[>＞»]|&gt;)){1,9} ?")
_PYTHON = re.compile(r">>>(?: (?!>)|$)")
_NESTED = re.compile(r"(?!>>> [^>])(?:>|&gt;) ?(?:>|&gt;)")
_SHELL = re.compile(r"[$#%] ?\w|.{0,60}[\w~][$#] \w")

LONG_BLOCK = 3
LINES_WITH_SENDER = 8


@dataclass(frozen=True, slots=True)
class Block:
    """Quote lines in a row, `lines[start:end]`."""

    lines: Sequence[str]
    start: int
    end: int

    @property
    def is_python(self) -> bool:
        """An interpreter's prompt on every line: a third-level quote has its second level near it."""
        return all(map(_PYTHON.match, self.lines[self.start : self.end]))

    @property
    def is_nested(self) -> bool:
        """A quote within a quote: only mail has both levels."""
        levels = {_NESTED.match(line) is not None for line in self.lines[self.start : self.end] if len(line) > 2}
        return len(levels) == 2

    def names_sender(self) -> bool:
        """Some clients quote their attribution or header along with the message."""
        head = self.lines[self.start : min(self.end, self.start + LINES_WITH_SENDER)]
        inner = [_ALL_QUOTES.sub("", line, count=1) for line in head]
        return any(line and _introduces(inner, index) for index, line in enumerate(inner))

    def looks_like_mail(self) -> bool:
        """For a ticket without a subject: a long block at an end, or the first of several with answers between."""
        above = next((self.lines[i] for i in range(self.start - 1, -1, -1) if self.lines[i]), "")
        if above.endswith((":", "：")) or _SHELL.match(above):
            return False
        below = next((index for index in range(self.end, len(self.lines)) if self.lines[index]), None)
        at_end = not above or below is None
        return at_end and (self._texts() >= LONG_BLOCK or (not above and self._answered(below)))

    def _texts(self) -> int:
        return sum(1 for line in self.lines[self.start : self.end] if _ALL_QUOTES.sub("", line, count=1))

    def _answered(self, below: int | None) -> bool:
        return below is not None and any(map(QUOTE.match, self.lines[below:]))


def block_at(lines: Sequence[str], start: int, quote_lines: frozenset[int]) -> Block:
    end = start
    while end in quote_lines:
        end += 1
    return Block(lines, start, end)


def _introduces(lines: Sequence[str], index: int) -> bool:
    if block_end(lines, index, after_rule=False, expected=False) is not None:
        return True
    return attribution_end(lines, index, quoted=frozenset(), strict=True) is not None
