"""The sentence grammar: `[a|b|]` chooses one alternative (nested to any depth); `{name}` is a slot, filled in order.

Independent of tickets and company: `author.py` gives the slots, `phrasebook.py` the templates.
"""

import random
import re
from collections.abc import Callable

# Innermost first, so that nesting needs no parser; a choice inside a discarded alternative has no effect.
_INNERMOST = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\+?[\w.]+)\}")

_SPACES = re.compile(r"[ \t]+")
_SPACE_BEFORE_MARK = re.compile(r" ([,.;])")
_DOUBLE_MARK = re.compile(r"([.?!])[ ]*\.(?=\s|$)")
_SENTENCE_START = re.compile(r"(?:^|(?<=[.?!] ))([¿¡„\"]?)([a-zà-öø-ÿ])")

# The first word decides whether a closing request is a question; one line of a file may contain both kinds.
_ASKS = re.compile(
    r"^(¿|(can|could|is|are|was|any|what|when|where|which|who|whom|how|why|do|does|did|will|would|shall|should"
    r"|kann|können|haben|ist|sind|wann|was|wie|wo|wer|gibt|geht|bis wann"
    r"|pouvez|quand|avez|existe|y a|qui|est-ce|peut)\b)",
    re.IGNORECASE,
)
# A narrower pattern: "When I open it, …" is no question.
_QUESTION = re.compile(
    r"(can|could|how|which|is|does|do|would|who|where|kann|können|wie|gibt es|peut-on|quelles|comment)\b", re.IGNORECASE
)


def expand(template: str, rng: random.Random, slot: Callable[[str], str]) -> str:
    """One sentence of the template's language."""
    while match := _INNERMOST.search(template):
        choice = rng.choice(match[1].split("|"))
        template = template[: match.start()] + choice + template[match.end() :]
    return _SLOT.sub(lambda found: slot(found[1]), template)


def tidy(text: str) -> str:
    """Spaces, punctuation and capitals as in careful writing; `noise.py` adds carelessness later."""
    text = _SPACE_BEFORE_MARK.sub(r"\1", _SPACES.sub(" ", text)).strip()
    text = _DOUBLE_MARK.sub(r"\1", text)
    return _SENTENCE_START.sub(lambda found: found[1] + found[2].upper(), text)


def sentence(text: str) -> str:
    """Tidy, with punctuation at the end."""
    text = tidy(text)
    if text.endswith((".", "?", "!", ":", "”")):
        return text
    last = re.split(r"(?<=[.?!]) ", text)[-1]
    asks = _QUESTION.match(last) or text.count("¿") > text.count("?")
    return f"{text}?" if asks else f"{text}."


def request(text: str) -> str:
    """A closing request: a question ends with a question mark, a plea does not."""
    bare = tidy(text).rstrip(".?")
    mark = "?" if _ASKS.match(bare) else "."
    return bare if bare.endswith("!") else bare + mark
