"""Trims what stands below a message but says nothing about it: signatures, device lines, disclaimers, list footers.

Works from the end of one segment of `quotes.visible_reply`. A closing and a name stay ("Best regards, Ann"): they cost
little and cutting them wrongly costs a sentence. What goes is the contact block, and text that lawyers wrote.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from models.text.boilerplate import (
    BANNERS,
    CLOSINGS,
    DEVICES,
    DISCLAIMER_PHRASES,
    DISCLAIMER_STARTS,
    FOOTER_PHRASES,
    REPLY_ABOVE,
)
from models.text.client_phrases import DEVICE
from models.text.html import RULE

__all__ = ["REPLY_ABOVE", "Trimmed", "trim"]

MAX_SIGNATURE_LINES = 16
_DELIMITER = re.compile(r"\s{0,2}(?:--|—|–|- -|__)\s{0,2}$")
_UNDERSCORES = re.compile(r"_{5,}$")
_HTML_RULE = re.compile(RULE + "$")
MAX_RULED_LINES = 5
MAX_DEVICE_LINES = 6
_CONTACT = re.compile(
    r"\+?\d[\d\s()./-]{6,}\d|https?://|www\.|[^\s@]@[^\s@]|(?:tel|phone|fax|mobil|mobile|cell|telefon|tél|tlf)\b[.:]",
    re.IGNORECASE,
)
# What the law makes companies print below their mail.
_LEGAL = re.compile(
    r"\bHR[AB]\b.{0,12}\d|Geschäftsführ|Amtsgericht|Registergericht|Handelsregister|\bRCS\b.{0,30}\d|\bSIRET\b"
    r"|capital social|Registro Mercantil|\bKvK\b|Registered (?:in|office)|Company (?:no|number|registration)\b"
    r"|Aufsichtsrat|Vorstand:|Partita IVA|\bP\. ?IVA\b",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"[^\W\d_][\w.'-]{0,30}(?: [\w.'\"()-]{1,30}){0,4}[\s,|/<(\[-]{1,4}(?:mailto: ?)?[^\s@<>]{1,64}@[^\s@<>]"
)
_LIST_ITEM = re.compile(r"(?:\d{1,2}[.)]|[-*•+]) \S")
_WORD = re.compile(r"\w")
_CLOSING_TRIM = " ,.!-–—;:*_~"


@dataclass(frozen=True, slots=True)
class Trimmed:
    text: str
    signature: bool
    disclaimer: bool


def trim(segment: str) -> Trimmed:
    lines = _without_banner(segment.split("\n"))
    disclaimer = len(lines) < segment.count("\n") + 1
    lines = _strip_end(lines)
    signature = False
    # Twice: a disclaimer may stand below the signature as well as above "Sent from my phone".
    for _ in range(2):
        whole = len(lines)
        lines = _without_footers(lines)
        disclaimer |= len(lines) < whole
        before = len(lines)
        for cut in _CUTS:
            lines = _strip_end(cut(lines))
        signature |= len(lines) < before
        if len(lines) == whole:
            break
    return Trimmed("\n".join(lines).strip("\n"), signature, disclaimer)


def _strip_end(lines: list[str]) -> list[str]:
    """Without trailing blank lines and lines of dashes, stars and the like."""
    end = len(lines)
    while end and not _WORD.search(lines[end - 1].replace("_", "")) and not _speaks(lines[end - 1]):
        end -= 1
    return lines[:end]


def _speaks(line: str) -> bool:
    """Whether a line without letters still says something: "???", ":-)" or an emoji."""
    return "?" in line or "`" in line or ":)" in line or ":-)" in line or any(c >= "\u2600" for c in line[:80])


def _without_banner(lines: list[str]) -> list[str]:
    """Without a mail gateway's warning at the top: "CAUTION: this e-mail originated outside of …"."""
    end = 0
    while end < len(lines) and lines[end]:
        end += 1
    head = " ".join(lines[: min(end, 6)]).casefold()
    if len(head) < 600 and any(phrase in head for phrase in BANNERS):
        # The banner may touch the text: only the lines up to the last that speaks of it go.
        last = max((i for i in range(min(end, 6)) if any(p in lines[i].casefold() for p in BANNERS)), default=end - 1)
        return lines[last + 1 :]
    return lines


def _without_footers(lines: list[str]) -> list[str]:
    lines = _strip_end(lines)
    while lines:
        start = _paragraph_start(lines)
        cut = _footer_start(lines, start)
        if cut is None:
            return lines
        lines = _strip_end(lines[:cut])
    return lines


def _paragraph_start(lines: list[str]) -> int:
    start = len(lines) - 1
    while start and lines[start - 1]:
        start -= 1
    return start


def _footer_start(lines: list[str], start: int) -> int | None:
    """Where boilerplate begins in the last paragraph, if it ends in boilerplate."""
    text = "\n".join(lines[start:]).casefold()
    if _is_disclaimer(text) or (len(text) < 800 and any(phrase in text for phrase in FOOTER_PHRASES)):
        return _tightened(lines, start)
    return None


def _tightened(lines: list[str], start: int) -> int:
    """The boilerplate may touch the text above: begin at the first line that opens it, if one does."""
    for index in range(start, len(lines)):
        line = lines[index].casefold().lstrip(" *_\"'([-")
        if line.startswith(DISCLAIMER_STARTS) or any(phrase in line for phrase in FOOTER_PHRASES):
            return index
    return start


def _is_disclaimer(text: str) -> bool:
    if len(text) < 60:
        return False
    flat = text.replace("\n", " ")
    found = sum(phrase in flat for phrase in DISCLAIMER_PHRASES)
    return found >= 3 or (found >= 1 and flat.lstrip(" *_\"'([-").startswith(DISCLAIMER_STARTS))


def _cut_delimited(lines: list[str]) -> list[str]:
    """Below "-- ", as Usenet wrote it, or below a rule: cut, if it reads as a signature."""
    for index in range(max(0, len(lines) - MAX_SIGNATURE_LINES - 1), len(lines)):
        if _DELIMITER.match(lines[index]) and not _goes_on(lines[index + 1 :]):
            return lines[:index]
    for index in range(max(1, len(lines) - MAX_RULED_LINES - 1), len(lines)):
        below = lines[index + 1 :]
        if _opens_signature(lines[index], below) and not any(map(_is_sentence, below)):
            return lines[:index]
    return lines


def _opens_signature(rule: str, below: list[str]) -> bool:
    """A typed rule does; HTML's is mostly layout, and needs a telephone number, an address or a link below."""
    if _HTML_RULE.match(rule):
        return any(map(_is_contact, below)) and not _goes_on(below)
    return _UNDERSCORES.match(rule) is not None and not _goes_on(below)


def _goes_on(lines: list[str]) -> bool:
    """Whether the message goes on below "--": a list, a long line, wrapped prose, or sentences without a contact."""
    if _names_writer(lines):
        return False
    if sum(1 for line in lines if _LIST_ITEM.match(line)) >= 2 or any(map(_is_prose, lines)):
        return True
    if any(len(line.split()) >= 7 and _is_prose(line + " " + below) for line, below in pairwise(lines)):
        return True
    return any(map(_is_sentence, lines)) and not any(map(_is_contact, lines))


def _names_writer(lines: list[str]) -> bool:
    """ "Ann Lee <ann@home.example>" comes first: what follows is a motto, however long."""
    first = next(filter(_WORD.search, lines), "")
    return _PERSON.match(first[:300]) is not None and len(first.split()) <= 12


def _is_prose(line: str) -> bool:
    """A line of many words in lower case, unless it is the company's particulars."""
    words = line[:1000].split()
    return len(words) >= 14 and sum(word[0].islower() for word in words) >= 8 and not _LEGAL.search(line)


def _is_contact(line: str) -> bool:
    return _CONTACT.search(line) is not None or _LEGAL.search(line) is not None


def _cut_device(lines: list[str]) -> list[str]:
    """Without "Sent from my iPhone" among the last lines."""
    first = max(1, len(lines) - MAX_DEVICE_LINES)
    return lines[:first] + [line for line in lines[first:] if not _is_device_line(line)]


def _is_device_line(line: str) -> bool:
    text = line.casefold().strip(" -–—*_.<>[]()")
    if not text or len(text) > 160 or len(text.split()) > 14:
        return False
    return (text.startswith(DEVICE) or text.endswith(DEVICE)) and any(device in text for device in DEVICES)


def _cut_contacts(lines: list[str]) -> list[str]:
    """Below a closing and a name: cut a block of short lines with a telephone number, an address or a link."""
    for index in range(len(lines) - 1, max(-1, len(lines) - MAX_SIGNATURE_LINES), -1):
        if _is_closing(lines[index]):
            name = _next_text(lines, index + 1)
            rest = [line for line in lines[name + 1 :] if line]
            is_block = any(map(_is_contact, rest)) and not any(map(_is_sentence, rest))
            return lines[: name + 1] if is_block else lines
    return lines


def _is_closing(line: str) -> bool:
    text = line.casefold().strip(_CLOSING_TRIM)
    return len(text) <= 60 and text.startswith(CLOSINGS)


def _is_sentence(line: str) -> bool:
    long = len(line.split()) >= 7 and line.endswith((".", "!")) and not _LEGAL.search(line)
    full_stop = len(line) >= 12 and line.endswith(("。", "！"))
    return long or full_stop or "?" in line or line.casefold().startswith(("ps", "p.s"))


def _next_text(lines: list[str], start: int) -> int:
    while start < len(lines) and not lines[start]:
        start += 1
    return min(start, len(lines) - 1)


_CUTS: tuple[Callable[[list[str]], list[str]], ...] = (_cut_delimited, _cut_device, _cut_contacts)
