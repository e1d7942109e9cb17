"""Separates what the writer wrote from what they quote or forward.

`visible_reply` reads the lines once. At a marker (attribution, header block, "Original Message") it decides: quoted
lines follow → drop them and read on, so that answers between quotes stay; text follows → everything after is history;
nothing stands above, or the mail is a forward → the message inside is the subject, read on once.
Neighbours: `attribution` and `header_block` find markers, `quote_blocks` judges `>` lines, `signatures` trims the
segments; `text` calls them all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from models.cpu_budget import UNLIMITED, Budget
from models.text.attribution import attribution_end, introduces
from models.text.client_phrases import FORWARDED, ORIGINAL
from models.text.header_block import block_end
from models.text.quote_blocks import ONE_QUOTE, QUOTE, Block, block_at
from models.text.signatures import REPLY_ABOVE, Trimmed, trim

_RULE = re.compile(r"[\s>]{0,3}[-_=*—–━]{5,}\s*$")
_DASHES = "-_=*—–━─"
_OPENING_DASHES = re.compile(rf"[{_DASHES}]{{2,}}")
_LONGEST_PHRASE = 181
_GROUPWISE = re.compile(r">>> ?[^>].{3,150}?\d{2}.{0,20}>>>$")  # ">>> Ann <a@b> 03.03.2020 13:11 >>>"

# A few words that only point at the message below: it is then the message to read.
_POINTERS = frozenset({
    "fyi", "f.y.i.", "see below", "please see below", "pls see below", "as below", "siehe unten", "s.u.", "s. u.",
    "zur info", "zur kenntnis", "z.k.", "z. k.", "bitte siehe unten", "voir ci-dessous", "pour info",
    "pour information", "ver abajo", "para su información", "ver abaixo", "vedi sotto", "per conoscenza",
    "zie onderstaand", "zie onder", "ter info", "se nedan", "se nedenfor", "do wiadomości", "k vědomí",
})  # fmt: skip


class _Kind(Enum):
    REPLY = auto()
    FORWARD = auto()


@dataclass(frozen=True, slots=True)
class _Marker:
    kind: _Kind
    end: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The writer's own text in order, one segment per stretch between quotes."""

    segments: tuple[str, ...]
    quoted: bool = False
    forwarded: bool = False


def visible_reply(
    text: str, *, forwarded: bool = False, replied: bool | None = None, budget: Budget = UNLIMITED
) -> Reply:
    """`forwarded`: the subject says this is a forward, so a header block opens the message to read.

    `replied`: whether the subject or the markup says this is a reply, so that `>` lines are history; None if there is
    no subject to tell.
    """
    scan = _Scan([line.strip() for line in text.split("\n")], forwarded, replied, budget)
    scan.run()
    return Reply(tuple(filter(None, scan.segments)), scan.quoted, scan.forwarded)


@dataclass(slots=True)
class _Scan:
    lines: list[str]
    expect_forward: bool
    replied: bool | None
    budget: Budget
    segments: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    quoted: bool = False
    forwarded: bool = False
    marked: bool = False
    quote_lines: frozenset[int] = frozenset()

    def run(self) -> None:
        self._find_quote_lines()
        position = 0
        while position < len(self.lines):
            self.budget.check()
            position = self._step(position)
        self._close()

    def _find_quote_lines(self) -> None:
        self.quote_lines = frozenset(i for i, line in enumerate(self.lines) if QUOTE.match(line))

    def _step(self, position: int) -> int:
        if position in self.quote_lines:
            return self._read_quote(position)
        marker = find_marker(self.lines, position, self.quote_lines, replied=self.replied)
        if marker is None:
            self.current.append(self.lines[position])
            return position + 1
        return self._read_marker(marker)

    def _read_quote(self, position: int) -> int:
        if _GROUPWISE.match(self.lines[position]):
            return self._read_marker(_Marker(_Kind.REPLY, position + 1))
        if not self.quoted and not self.forwarded and self._opens_quoted_forward(position):
            self.lines[position:] = [ONE_QUOTE.sub("", line, count=1) for line in self.lines[position:]]
            self._find_quote_lines()
            return position
        block = block_at(self.lines, position, self.quote_lines)
        if not self._is_history(block):
            self.current.extend(self.lines[position : block.end])
            return block.end
        self._close()
        self.replied = self.quoted = True
        return block.end

    def _is_history(self, block: Block) -> bool:
        if block.is_python:
            return self.marked and not any(self.current)
        if self.replied or block.is_nested or block.names_sender():
            return True
        return self.replied is None and block.looks_like_mail()

    def _opens_quoted_forward(self, position: int) -> bool:
        """Apple Mail quotes what it forwards."""
        return _phrase_kind(ONE_QUOTE.sub("", self.lines[position], count=1)) is _Kind.FORWARD

    def _read_marker(self, marker: _Marker) -> int:
        if marker.kind is _Kind.REPLY and self._quote_follows(marker.end):
            self._close()
            self.replied = self.marked = self.quoted = True
            return marker.end
        self._close()
        if not self.forwarded and (marker.kind is _Kind.FORWARD or self.expect_forward or self._nothing_above()):
            self.forwarded = True
            return marker.end
        self.quoted = True
        return len(self.lines)

    def _quote_follows(self, position: int) -> bool:
        while position < len(self.lines) and not self.lines[position]:
            position += 1
        return position in self.quote_lines

    def _nothing_above(self) -> bool:
        above = "\n".join(filter(None, self.segments)).casefold().strip(" \n.:!,")
        return not self.quoted and (not above or above in _POINTERS)

    def _close(self) -> None:
        self.segments.append("\n".join(self.current).strip("\n"))
        self.current = []


def find_marker(
    lines: Sequence[str], start: int, quote_lines: frozenset[int], *, replied: bool | None = None
) -> _Marker | None:
    line = lines[start]
    if not line:
        return None
    kind = _phrase_kind(line)
    rule = kind is not None or _RULE.match(line) is not None or dashed_phrase(line[:200]) is not None
    if rule:
        below = _skip_blank(lines, start + 1)
        end = None
        if below < len(lines) and below not in quote_lines:
            end = block_end(lines, below, after_rule=True, expected=kind is not None or bool(replied))
        if end is None and kind is None:
            return None
        return _Marker(kind or _Kind.REPLY, end or start + 1)
    if line.casefold().startswith(REPLY_ABOVE):
        return _Marker(_Kind.REPLY, start + 1)
    end = block_end(lines, start, after_rule=False, expected=bool(replied)) or attribution_end(
        lines, start, quoted=quote_lines, strict=replied is False
    )
    return _Marker(_Kind.REPLY, end) if end else None


def _phrase_kind(line: str) -> _Kind | None:
    """What a line such as "----- Original Message -----" or "Begin forwarded message:" announces."""
    if not 4 <= len(line) <= 200:
        return None
    dashed = dashed_phrase(line)
    phrase = (line.rstrip(" :") if dashed is None else dashed).casefold().strip(" *_")
    if dashed is not None:
        if phrase.startswith(FORWARDED):
            return _Kind.FORWARD
        # Zoho puts its attribution between dashes: "---- On Tue, 22 Dec 2015, Ann <a@b> wrote ----".
        is_reply = phrase.startswith(ORIGINAL) or introduces(dashed + ":", before_quote=False, strict=False)
        return _Kind.REPLY if is_reply else None
    if line.rstrip().endswith(":") and phrase in _FORWARD_LINES:
        return _Kind.FORWARD
    return None


_FORWARD_LINES = frozenset(FORWARDED)


def dashed_phrase(line: str) -> str | None:
    """What stands between dashes: "a" of "-- a: --"; None if the line is no such thing.

    By hand, in one pass: the regular expression that says the same takes the cube of a run of colons.
    """
    opening = _OPENING_DASHES.match(line)
    inner = len(line.rstrip(_DASHES))
    if opening is None or len(line) - inner < 2 or inner <= opening.end():
        return None
    start, end = opening.end(), inner
    while start < inner and _is_padding(line[start]):
        start += 1
    while _is_padding(line[end - 1]):
        end -= 1
    # Where nothing but padding or one letter stands between, some of the padding or of the dashes is the phrase.
    for begin in range(start, opening.end() - 1, -1):
        stop = max(begin + 2, end)
        if line[begin] not in _DASHES and stop <= min(len(line) - 2, begin + _LONGEST_PHRASE):
            return line[begin:stop]
    return None


def _is_padding(character: str) -> bool:
    return character == ":" or character.isspace()


def _skip_blank(lines: Sequence[str], position: int) -> int:
    for _ in range(2):
        if position < len(lines) and not lines[position]:
            position += 1
    return position


def clean_segments(reply: Reply, budget: Budget = UNLIMITED) -> tuple[str, bool, bool]:
    """Segments without signatures and boilerplate, joined; and whether either was found."""
    trimmed = [_trimmed(segment, budget) for segment in reply.segments]
    text = "\n\n".join(part.text for part in trimmed if part.text)
    return text, any(part.signature for part in trimmed), any(part.disclaimer for part in trimmed)


def _trimmed(segment: str, budget: Budget) -> Trimmed:
    budget.check()
    return trim(segment)
