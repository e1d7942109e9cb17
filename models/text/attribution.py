"""Finds the line or lines that introduce a quoted message: "On Monday, Ann <a@b> wrote:", in any client's order.

Structure decides first (a colon at the end, an address in brackets, a date and a time), words second; so a language
missing from `client_phrases` is still recognised in most clients. Used by `quotes`.
"""

import re
from collections.abc import Sequence

from models.text.client_phrases import OPENERS, WROTE

MAX_LINES = 7
MAX_CHARACTERS = 500

_DATE = re.compile(r"\b(?:19|20)\d\d(?!\d)|\d{1,2}\s?[./-]\s?\d{1,2}\s?[./-]\s?\d{2,4}|\d{4}\s?[年년]")
_TIME = re.compile(r"(?<![\d.])\d{1,2}[:.h]\d{2}(?!\d)|\d{1,2} ?(?:am|pm)\b|\d{1,2}[時时点點시]", re.IGNORECASE)
# Begins a program's output, not an attribution: "2026-03-03 13:11:05 ERROR worker wrote:".
_LOG_STAMP = re.compile(r"\W{0,3}(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d|\[")
_PROGRAM = frozenset([
    "the", "this", "that", "your", "server", "worker", "app", "system", "log", "error", "info", "debug", "warn",
    "warning", "fatal", "trace", "process", "script", "daemon", "console", "output", "page", "website", "bot",
])  # fmt: skip
_BRACKETED_ADDRESS = re.compile(r"(?:[<(\[]|&lt;)\s?(?:mailto:)?[^\s@<>()\[\]]{1,64}\s?@\s?[^\s@<>()\[\]]{1,253}")
_ENDS_IN_ADDRESS = re.compile(r"<[^\s@<>]{1,64}@[^\s@<>]{1,190}>$")
_ADDRESS = re.compile(r"[^\s@<>()\[\]:;,\"]{1,64}@[^\s@<>()\[\];,\"]{1,190}")
_BARE_ADDRESS = re.compile(r"[^\s@<>()\[\]]@[^\s@<>()\[\]]")

# Words of the customer's own report: "On 3 March at 10:10 I wrote:" introduces no quote.
_NARRATIVE = frozenset([
    "i", "my", "we", "our", "he", "she", "they", "his", "her", "their", "ich", "wir", "mein", "meine", "unser",
    "j'ai", "ai", "m'a", "nous", "mon", "votre", "io", "ho", "ik", "wij", "mijn", "yo", "jag", "jeg", "jsem", "я",
])  # fmt: skip


def attribution_end(lines: Sequence[str], start: int, *, quoted: frozenset[int], strict: bool) -> int | None:
    """Index after the attribution that starts at `start`, or None.

    `quoted` holds the indices of `>` lines; `strict` asks for more evidence, because the mail is no reply.
    """
    longest = MAX_LINES if _may_wrap(lines[start]) else 1
    joined = ""
    for end in range(start, min(start + longest, len(lines))):
        line = lines[end]
        in_brackets = joined.count("<") > joined.count(">")
        if end in quoted and not in_brackets:
            return None
        # Some conversions from HTML put the address on lines of its own: "Ann", "", "<", "ann@b", "> wrote:".
        if not line and not in_brackets and not "".join(lines[end : end + 4]).startswith("<"):
            return None
        joined = f"{joined} {line}".strip()
        if len(joined) > MAX_CHARACTERS:
            return None
        following = end + 1  # the next line with text, at most three lines on
        while following < min(end + 4, len(lines)) and not lines[following]:
            following += 1
        before_quote = following in quoted
        # Without a colon the sentence may go on: a blank line must follow.
        is_ended = before_quote or joined.rstrip(" *_").endswith((":", ">")) or not "".join(lines[end + 1 : end + 2])
        if is_ended and introduces(joined, before_quote=before_quote, strict=strict):
            return end + 1
    return None


def introduces(text: str, *, before_quote: bool, strict: bool) -> bool:
    """Whether `text`, joined to one line, introduces a quoted message."""
    text = text.strip(" *_")
    core = text.rstrip(" :,*_")  # some translations end in a comma
    if len(text) > MAX_CHARACTERS:
        return False
    if _is_old_gmail(text):
        return True
    ends_in_verb = core.casefold().endswith(WROTE)
    if not core or not (ends_in_verb or text != core):
        return False
    has_date, with_time = _DATE.search(core) is not None, has_time(core)
    has_moment = has_date and with_time
    names_address = _BRACKETED_ADDRESS.search(core) is not None
    if names_address and (before_quote or (has_moment and text.endswith(":"))):
        return True
    if before_quote and not strict:
        is_proven = ends_in_verb or has_moment
    else:
        is_proven = ends_in_verb and (has_date or with_time or has_address(core))
    is_ended = before_quote or text.endswith(":") or (has_moment and names_address)
    return is_proven and is_ended and not _is_narrative(core)


def has_date_and_time(text: str) -> bool:
    return _DATE.search(text) is not None and has_time(text)


def has_time(text: str) -> bool:
    """Whether there is a time of day. "03.05" in "03.05.2020" is none."""
    return _TIME.search(_DATE.sub(" ", text)) is not None


def first_address(text: str) -> str:
    """The address in a From value, else the value: "Ann <a@b>" → "a@b", "Ann" → "Ann"."""
    found = _ADDRESS.search(text[:MAX_CHARACTERS])
    return (found[0] if found else text[:MAX_CHARACTERS].strip()).lower()


def has_address(text: str) -> bool:
    return _BARE_ADDRESS.search(text) is not None


def _is_old_gmail(text: str) -> bool:
    """ "2013/7/20 Ann <a@b>": Gmail's attribution before 2014, with neither verb nor colon."""
    if not text.endswith(">") or len(text.split()) > 10:
        return False
    return _DATE.match(text) is not None and _ENDS_IN_ADDRESS.search(text) is not None


def _may_wrap(line: str) -> bool:
    """Whether an attribution of several lines may begin here: with a date or an address."""
    line = line.lstrip("* _")[:MAX_CHARACTERS]
    first = line.split(" ", 1)[0].casefold().rstrip(",")
    if first in OPENERS:
        return any(character.isdigit() for character in line)
    return _DATE.search(line[:48]) is not None or _BRACKETED_ADDRESS.search(line) is not None


def _is_narrative(core: str) -> bool:
    """Whether the writer or a program wrote the line, not a mail client."""
    folded = core.casefold()
    return (
        not _NARRATIVE.isdisjoint(folded.removeprefix("on mon ").split())
        or _LOG_STAMP.match(core) is not None
        or not _PROGRAM.isdisjoint(folded.split())
    )
