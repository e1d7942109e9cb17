"""Removes the signature below "-- " and nothing else: text that only looks like a signature or a disclaimer stays.

Evidence is the delimiter, a person's name below it, and a contact line or the exact delimiter of mail programs. The
signature ends at the first line that may be content, so a postscript or an order number below a name stays. A colon
above the delimiter introduces what follows. Typed dashes may divide a text: there the text above must be complete and
the signature must be the end.
"""

import re

DELIMITER = "\ufdd1"
"""Replaces "-- ", because the Unicode cleaning would remove the blank, which only mail programs write."""

MAX_LINES = 10
_WRITTEN = re.compile(r"(?m)^-- (?=\r?$)")
_TYPED = re.compile(r"\s{0,2}(?:--|—|–)$")
_ADDRESS = re.compile(r"<?(?:mailto:)?[^\s@<>]{1,64}@[^\s@<>]{1,190}>?|<?\(?(?:https?://|www\.)\S{1,400}")
_TELEPHONE = re.compile(r"(?:^|[\s:.])(?:\+|\(|0)[\d\s()./-]{6,24}\d(?!\w)")
_AFTER_NAME = re.compile(r"\s[-|/–·]\s|[,<(@\"]")
_ENDS = (".", "!", "?", "。", "！", "？", "…")
_NAME = re.compile(r"[^\W\d_][\w.'’-]{0,30}")
# Small words inside names, titles and companies; they do not count as content.
_PARTICLES = frozenset([
    "of", "for", "and", "the", "de", "du", "des", "del", "della", "di", "da", "do", "dos", "la", "le", "les", "el",
    "von", "van", "der", "den", "zu", "und", "et", "y", "e", "en", "für", "im", "in", "i.a.", "i.v.", "ppa.", "tel",
    "fax", "mobile", "phone", "mobil", "cell", "web", "mail", "e-mail", "email", "c/o",
])  # fmt: skip


def mark_delimiters(text: str) -> str:
    return _WRITTEN.sub(DELIMITER, text)


def without_signature(lines: list[str], *, before_quote: bool, after_quote: bool) -> tuple[list[str], bool]:
    """The remaining lines, and whether a signature was removed. A quoted message next to it marks the text's end."""
    for index, line in enumerate(lines):
        exact = line == DELIMITER
        if not exact and not _TYPED.match(line):
            continue
        above = lines[:index]
        last = next((line for line in reversed(above) if line), "")
        introduces = last.endswith((":", "："))
        in_sentence = bool(last) and bool(above[-1]) and not last.endswith((*_ENDS, ","))
        above_blank = not "".join(lines[index + 1 : index + 2])
        if introduces or (not exact and (in_sentence or above_blank)):
            break  # the text goes on below this line, and so it does below the next ones
        end, contact, named = _read_signature(lines, index + 1)
        at_end = end == len(lines)
        ends_text = exact or before_quote or (after_quote and not any(above))
        if named and ((contact and (exact or at_end)) or (ends_text and at_end)):
            return above + lines[end:], True
    return lines, False


def _read_signature(lines: list[str], start: int) -> tuple[int, bool, bool]:
    """Index after the lines that a signature may hold; whether one is a contact, and one of the first a name."""
    contact = named = False
    position, read = start, 0
    while position < len(lines) and read < MAX_LINES:
        line = lines[position]
        if line == DELIMITER or _TYPED.match(line):
            break
        if line:
            rest = _TELEPHONE.sub(" ", _ADDRESS.sub(" ", line[:500]))
            found = rest != line[:500]
            if not _is_signature_line(rest, contact=found):
                break
            contact |= found
            named |= read < 3 and _is_name(rest)
            read += 1
        position += 1
    while position > start and not lines[position - 1]:
        position -= 1
    return position, contact, named


def _is_signature_line(rest: str, *, contact: bool) -> bool:
    """Whether the rest beside addresses and numbers is a few capitalised words without digits or a full stop."""
    rest = rest.strip(" ,|·•*_<>[]()/-–—:")
    if not rest:
        return contact
    words = [word for word in rest.split() if word.strip(".:,|").casefold() not in _PARTICLES]
    lower = sum(word[0].islower() for word in words)
    stop = rest.endswith(".") and len(words) > 3 and len(words[-1]) > 5  # "Inc." and "Ltd." end no sentence
    says = stop or rest.endswith(_ENDS[1:])
    return len(words) <= 9 and 2 * lower < max(len(words), 1) and not says and not any(map(str.isdigit, rest))


def _is_name(rest: str) -> bool:
    """Two to four capitalised words; one alone may be any word."""
    words = _AFTER_NAME.split(rest.strip(' *_|"'), maxsplit=1)[0].split()
    cased = [word for word in words if word.casefold() not in _PARTICLES]
    return 2 <= len(cased) <= 4 and all(word[0].isupper() and _NAME.fullmatch(word) for word in cased)
