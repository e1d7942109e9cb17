"""Separates the writer's own text from quoted and forwarded messages. Text is removed only on evidence:

- `>` lines below an attribution, or in a quote that the mail's own markup declares (`MARK`);
- below an attribution or a header block without `>` lines: all the rest, but only in a mail known to be a reply;
- in a forward nothing: the message inside is the one to read, and only header lines go.

Neighbours: `attribution` and `header_block` find markers, `signatures` trims the segments; `prepare` calls them all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from models.cpu_budget import UNLIMITED, Budget
from models.text.attribution import attribution_end, first_address, has_address, has_date_and_time, introduces
from models.text.client_phrases import FORWARDED, ORIGINAL
from models.text.header_block import Block, read_block
from models.text.html import MARK
from models.text.signatures import without_signature
from models.ticket import ForwardedFrom

QUOTE = re.compile(rf"{MARK}?\s{{0,3}}(?:[>＞»]|&gt;)")
_ALL_QUOTES = re.compile(rf"^{MARK}?(?:\s{{0,3}}(?:[>＞»]|&gt;)){{1,9}} ?")
_RULE = re.compile(r"[\s>]{0,3}[-_=*—–━]{5,}\s*$")
_DECORATION = re.compile(r"[-–—_=*~#+]{2,}$")
_DASHES = "-_=*—–━─"
_LONGEST_PHRASE = 200
_LINES_WITH_SENDER = 8
_FEW_WORDS = 12
# In a short text these words refer to the message below, which is then kept.
_POINTS_BELOW = re.compile(
    r"\b(?:below|in-?line|in (?:red|blue|green)|unten|rot|blau|dessous|rouge|abajo|rojo|abaixo|vermelho|sotto|rosso"
    r"|onder|hieronder|onderstaande?|rood|nedan|nedenfor|rött|poniżej|níže|nižšie|alább|mai jos|aşağıda|ниже|нижче"
    r"|f\.?y\.?i|zur info|(?:zur )?kenntnis|z\. ?k|s\. ?u|(?:pour|ter) info\w*|informaci\w+|conoscenza|wiadomości"
    r"|vědomí)\b"
    r"|下記|以下|下面|아래|παρακάτω|أدناه|למטה",
    re.IGNORECASE,
)

Lines = Sequence[str]


@dataclass(frozen=True, slots=True)
class Reply:
    """The writer's own text, and the message inside a forward; a blank line where a quote was."""

    text: str
    quoted: bool = False
    signed: bool = False
    """A signature was cut."""
    forwarded: bool = False
    forwarded_from: ForwardedFrom | None = None


def visible_reply(
    text: str,
    *,
    subject: str = "",
    forwarded: bool = False,
    replied: bool | None = None,
    sender: str = "",
    recipients: frozenset[str] = frozenset(),
    budget: Budget = UNLIMITED,
) -> Reply:
    """
    Args:
        text: a mail's body, clean.
        subject: without prefixes; a forwarded message's own is kept where it is another.
        forwarded: the subject says that this is a forward.
        replied: subject or headers say that this is a reply; None if there is neither, as in chats and forms.
        sender: the mail's sender: a quoted message of the same sender may be their earlier complaint.
        recipients: addresses that the mail goes to, unless its subject says that it is a reply. A reply quotes one of
            them; a forward of Outlook's has a reply's headers and quotes another person.
        budget: of CPU.
    """
    lines = [line.strip() for line in text.split("\n")]
    scan = _Scan(lines, subject, forwarded, False if forwarded else replied, sender.casefold(), recipients, budget)
    scan.run()
    return Reply("\n\n".join(scan.segments), scan.quoted, scan.signed, scan.in_forward, scan.forwarded_from)


@dataclass(slots=True)
class _Scan:
    lines: list[str]
    subject: str
    expect_forward: bool
    replied: bool | None
    sender: str
    recipients: frozenset[str]
    budget: Budget
    segments: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)
    quoted: bool = False
    signed: bool = False
    attributed: bool = False
    """An attribution above `>` lines was read, so further `>` lines belong to the same message."""
    in_forward: bool = False
    """Inside a forwarded message: all is content."""
    forwarded_from: ForwardedFrom | None = None
    quote_lines: frozenset[int] = frozenset()
    transcript: bool | None = None

    def run(self) -> None:
        self.quote_lines = frozenset(i for i, line in enumerate(self.lines) if QUOTE.match(line))
        position = 0
        while position < len(self.lines):
            self.budget.check()
            in_quote = position in self.quote_lines
            position = self._read_quote(position) if in_quote else self._read_line(position)
        self._end_segment()

    def _read_line(self, position: int) -> int:
        line = self.lines[position]
        if len(line) < 4:  # shorter than any marker
            return self._keep_lines(position)
        if (end := forward_end(self.lines, position)) is not None:
            return self._enter_forward(end)
        # "----- Original Message -----", or Zoho's "---- On Tue, 22 Dec 2015, Ann <a@b> wrote ----".
        dashed = dashed_phrase(line)
        is_announced = dashed is not None and (
            _starts(dashed, ORIGINAL) or introduces(dashed + ":", before_quote=False, strict=False)
        )
        is_rule = is_announced or _RULE.match(line) is not None
        may_be_reply = self.replied is not False
        if is_rule:
            block = _header_below(self.lines, position + 1, expected=may_be_reply)
        else:
            block = read_block(self.lines, position, after_rule=False, expected=may_be_reply)
        if block is not None or is_announced:
            return self._read_header(position, block)
        if not is_rule and not self.in_forward and (end := self._attribution(position)) is not None:
            return self._read_attribution(position, end)
        return self._keep_lines(position)

    def _read_header(self, start: int, block: Block | None) -> int:
        """A header block, or "Original Message" without one: history in a reply, a message to read in a forward."""
        is_message = self.in_forward or self.expect_forward or self._is_above_message()
        if not is_message and block is not None and self.replied is not False:
            # A reply may quote the writer's own earlier mail, or a third party's.
            is_message = self._is_writer(block.sender) or self._is_third_party(block.sender)
        if is_message:
            return self._enter_forward(start, block) if block else self._keep_lines(start)
        may_be_form = block is not None and not block.whole and not _RULE.match(self.lines[start])
        if self.replied is False or may_be_form:
            if block and has_address(block.sender):
                self._set_forwarded_from(block)
            return self._keep_lines(start, block.end if block else None)
        return self._drop_rest()

    def _is_third_party(self, writer: str) -> bool:
        return bool(self.recipients) and has_address(writer) and first_address(writer) not in self.recipients

    def _attribution(self, position: int) -> int | None:
        return attribution_end(self.lines, position, quoted=self.quote_lines, strict=self.replied is False)

    def _read_attribution(self, start: int, end: int) -> int:
        text = " ".join(self.lines[start:end])
        below = _skip_blank(self.lines, end)
        if below in self.quote_lines:
            is_content = (
                self.expect_forward
                or self._is_writer(text)
                # In a mail that answers nothing.
                or (self.replied is False and (self._is_third_party(text) or self._is_transcript(end)))
                or self._is_announced_by_writer()
            )
            if is_content:
                return self._keep_lines(start, self._end_of_quote(below))
            if self._mentions_below():
                return self._enter_forward(end)
            self.attributed = True
            self._end_segment(before_quote=True)
            return self._end_of_quote(below)
        if self.replied is False:
            return self._keep_lines(start)
        # Without `>` lines an address proves a quoted mail; so do a date and a time, unless this is a transcript.
        is_proven = has_address(text) or (has_date_and_time(text) and not self._is_transcript(end))
        if not is_proven:
            return self._keep_lines(start)
        return self._enter_forward(end) if self._is_above_message() else self._drop_rest()

    def _is_announced_by_writer(self) -> bool:
        """Whether the writer's last line ends in a colon: the writer then shows what follows as content."""
        return next((line for line in reversed(self.current) if line), "").endswith((":", "："))

    def _is_writer(self, text: str) -> bool:
        return "@" in self.sender and first_address(text) == self.sender

    def _is_transcript(self, end: int) -> bool:
        """Whether a second attribution follows outside of quotes, as in a chat transcript."""
        if self.transcript is None:
            others = (i for i in range(end, len(self.lines)) if self.lines[i] and i not in self.quote_lines)
            self.transcript = any(self._attribution(i) is not None for i in others)
        return self.transcript

    def _read_quote(self, position: int) -> int:
        end = self._end_of_quote(position)
        inner = [_ALL_QUOTES.sub("", line, count=1) for line in self.lines[position:end]]
        first = next((index for index, line in enumerate(inner) if line), 0)
        # Apple Mail and others quote what they forward, its header as well.
        opens_forward = forward_end(inner, first) is not None
        if not opens_forward and self.replied is not True:
            # "----- Original Message -----", as IONOS quotes what it forwards; in a reply it may be history.
            opens_forward = dashed_phrase(inner[first]) is not None and _header_below(inner, first + 1) is not None
        if opens_forward:
            return self._enter_forward(position)
        if self.expect_forward:
            is_history = False
        elif self.attributed or self.lines[position].startswith(MARK):
            is_history = not self._is_announced_by_writer()
        else:
            is_history = any(
                line and attribution_end(inner, index, quoted=frozenset(), strict=True) is not None
                for index, line in enumerate(inner[:_LINES_WITH_SENDER])
            )
        if not is_history:
            return self._keep_lines(position, end)
        self._end_segment(before_quote=True)
        return end

    def _enter_forward(self, position: int, block: Block | None = None) -> int:
        """Reads on in a forwarded message. Its header lines go, but for a subject that is another than the mail's."""
        self._end_segment()
        self.in_forward = True
        if self.quote_lines:
            self.lines[position:] = [_ALL_QUOTES.sub("", line, count=1) for line in self.lines[position:]]
            self.quote_lines = frozenset()
        block = block or _header_below(self.lines, position)
        if block is None:
            return position
        self._set_forwarded_from(block)
        inner, outer = block.subject.casefold(), self.subject.casefold()
        if outer and inner not in outer and outer not in inner:
            self.current.extend((block.subject, ""))
        return block.end

    def _set_forwarded_from(self, block: Block) -> None:
        """The innermost message is the customer's, so the last one counts."""
        self.forwarded_from = ForwardedFrom(first_address(block.sender), block.subject[:500])

    def _drop_rest(self) -> int:
        self._end_segment(before_quote=True)
        return len(self.lines)

    def _keep_lines(self, position: int, end: int | None = None) -> int:
        end = end or position + 1
        self.current.extend(self.lines[position:end])
        return end

    def _end_of_quote(self, position: int) -> int:
        while position in self.quote_lines:
            position += 1
        return position

    def _is_above_message(self) -> bool:
        """Whether the message to read is below: above is nothing, a greeting, or a reference to the text below."""
        if self.quoted:
            return False
        above = self._above()
        if not above:
            return True
        is_greeting = len(above) == 1 and above[0].endswith((",", ":", "，", "：", "،"))
        return (is_greeting and len(above[0].split()) <= _FEW_WORDS) or self._mentions_below()

    def _mentions_below(self) -> bool:
        text = " ".join(self._above())
        return not self.quoted and len(text.split()) <= _FEW_WORDS and _POINTS_BELOW.search(text) is not None

    def _above(self) -> list[str]:
        """The first lines that were kept: enough to see whether there are more than a few words."""
        return [line[:500] for line in chain(self.segments[:2], islice(self.current, 2 * _FEW_WORDS)) if line]

    def _end_segment(self, *, before_quote: bool = False) -> None:
        while self.current and (not self.current[-1] or _DECORATION.match(self.current[-1])):
            self.current.pop()
        lines, signed = without_signature(self.current, before_quote=before_quote, after_quote=self.quoted)
        self.signed |= signed
        self.quoted |= before_quote
        if text := "\n".join(lines).strip("\n"):
            self.segments.append(text)
        self.current = []


def forward_end(lines: Lines, start: int) -> int | None:
    """Index after a line that announces a forwarded message: the phrase between dashes, or above a header block."""
    line = lines[start]
    if not 4 <= len(line) <= 200:
        return None
    dashed = dashed_phrase(line)
    if dashed is not None:
        return start + 1 if _starts(dashed, FORWARDED) else None
    if not line.endswith((":", "：")) or not _starts(line, FORWARDED):
        return None
    below = [_ALL_QUOTES.sub("", each, count=1) for each in lines[start + 1 : start + 20]]
    return start + 1 if _header_below(below, 0) is not None else None


def _starts(phrase: str, words: tuple[str, ...]) -> bool:
    return phrase.casefold().strip(" *_").startswith(words)


def _header_below(lines: Lines, start: int, *, expected: bool = False) -> Block | None:
    below = _skip_blank(lines, start)
    return read_block(lines, below, after_rule=True, expected=expected) if below < len(lines) else None


def _skip_blank(lines: Lines, position: int) -> int:
    for _ in range(2):
        if position < len(lines) and not lines[position]:
            position += 1
    return position


def dashed_phrase(line: str) -> str | None:
    """What stands between dashes: "a" of "-- a: --"; None if the line is no such thing."""
    if len(line) > _LONGEST_PHRASE or len(line) - len(line.lstrip(_DASHES)) < 2:
        return None
    if len(line) - len(line.rstrip(_DASHES)) < 2:
        return None
    return line.strip(f"{_DASHES}: ") or None
