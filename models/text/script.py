"""The script that most letters of a text belong to: a cheap sign of another language."""

import string
import unicodedata
from functools import lru_cache
from typing import Literal, get_args

Script = Literal[
    "latin",
    "cyrillic",
    "greek",
    "arabic",
    "hebrew",
    "han",
    "kana",
    "hangul",
    "devanagari",
    "other",
    "none",
]
"""`none`: a text without letters."""
SCRIPTS: tuple[Script, ...] = get_args(Script)

READ_CHARACTERS = 100
"""From the beginning of a text: enough to tell, in a microsecond for Latin letters and some twenty for others."""
_NO_ASCII_LETTERS = bytes(set(range(128)) - set(string.ascii_letters.encode()))
_OF_NAMES: dict[str, Script] = {
    "LATIN": "latin",
    "CYRILLIC": "cyrillic",
    "GREEK": "greek",
    "ARABIC": "arabic",
    "HEBREW": "hebrew",
    "CJK": "han",
    "HIRAGANA": "kana",
    "KATAKANA": "kana",
    "HANGUL": "hangul",
    "DEVANAGARI": "devanagari",
}


def dominant_script(text: str) -> Script:
    """The most frequent script among the first letters; of two equally frequent ones the one that comes first."""
    head = text[:READ_CHARACTERS]
    ascii_only = head.encode("ascii", "ignore")
    latin = len(ascii_only.translate(None, _NO_ASCII_LETTERS))
    if latin > len(head) - len(ascii_only):  # the usual case: more than all other characters together
        return "latin"
    letters: dict[Script, int] = {}
    for character in dict.fromkeys(head):
        script = _script_of(character)
        if script is not None:
            letters[script] = letters.get(script, 0) + head.count(character)
    return max(letters, key=letters.__getitem__) if letters else "none"


@lru_cache(maxsize=4096)
def _script_of(character: str) -> Script | None:
    """None: no letter. Unicode names begin with the script."""
    if not character.isalpha():
        return None
    return _OF_NAMES.get(unicodedata.name(character, "").split(" ", 1)[0], "other")
