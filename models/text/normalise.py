"""Unicode hygiene: one spelling per text, so that training and serving see the same characters.

First step of `text.prepare` after HTML is gone. Every function is linear in its input and accepts any `str`.
"""

import re
import unicodedata
from functools import cache

# Zero-width, bidirectional and other format characters: invisible to a reader, a new token to a model. The joiner
# U+200D goes too: an emoji sequence falls apart into its plain emoji, which is what the model has seen.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]+"
)
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r" ?\n ?")
_MANY_LINE_ENDS = re.compile(r"\n{3,}")

# What UTF-8 bytes look like when read as Windows-1252: a lead character, then continuation characters. A lead after a
# capital is left alone: "MANHÃ”" is Portuguese and a closing quote, not mojibake.
_CONTINUATION = "\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MOJIBAKE = re.compile(
    f"(?<![A-ZÀ-Þ])(?:[\xc3-\xdf][{_CONTINUATION}]|\xc2[\x80-\xbf]|[\xe0-\xef][{_CONTINUATION}]{{2}}"
    f"|[\xf0-\xf4][{_CONTINUATION}]{{3}})"
)
_MAX_MARKS = 4
# Each expands to up to 18 letters; real texts do not repeat it five times in a row.
_LIGATURES = re.compile("([\ufdfa\ufdfb]{4})[\ufdfa\ufdfb]+")


def clean(text: str) -> str:
    """Whole Unicode, repaired and folded, with line breaks kept and never more than one blank line in a row."""
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON may carry surrogates: pairs are joined, lone ones replaced
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    # Repair first: mojibake is spelled with characters that are invisible otherwise. Normalise last: an invisible
    # character between a letter and its accent would keep them apart.
    text = _MOJIBAKE.sub(_repair, text)
    text = _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text))
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _LIGATURES.sub(r"\1", _marks().sub(r"\1", text)))
    text = _BLANK_LINES.sub("\n", _SPACES.sub(" ", text))
    return _MANY_LINE_ENDS.sub("\n\n", text).strip()


def clean_line(text: str) -> str:
    """`clean` for a text of one line, such as a subject."""
    return clean(text).replace("\n\n", "\n").replace("\n", " ")


def head_and_tail(text: str, limit: int) -> str:
    """At most `limit` characters, three quarters from the head: the request stands first or last."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 4
    return text[: limit - 1 - tail] + "\n" + text[len(text) - tail :]


def _repair(match: re.Match[str]) -> str:
    try:
        return b"".join(sign.encode("latin-1" if sign < "\u0100" else "cp1252") for sign in match[0]).decode()
    except UnicodeError:
        return match[0]


@cache
def _marks() -> re.Pattern[str]:
    """Long runs of combining marks: sorting them is quadratic inside `unicodedata.normalize`.

    Built on first use: marks are scattered over the planes and the standard library has no class for them.
    """
    # NFKD first: some characters, such as Tibetan vowel signs, are no marks themselves and fall apart into marks.
    codes = {
        code for code in range(0x300, 0x1F000) if unicodedata.combining(unicodedata.normalize("NFKD", chr(code))[0]) > 0
    }
    starts = sorted(code for code in codes if code - 1 not in codes)
    ends = sorted(code for code in codes if code + 1 not in codes)
    ranges = "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))
    return re.compile(f"([{ranges}]{{{_MAX_MARKS}}})[{ranges}]+")
