"""Words and sentences of a text as spans, and the choice of the phrases that are shown."""

import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from models.encoding import Span

SHOWN = 3
"""Phrases for a label, and as many against it."""
LEAST_GAIN = 1.1
"""A phrase of two words must say more than its better word alone, by this factor."""
# In scripts without spaces each character is a word. Parts joined by one sign stay together: e-mail, don't, 3.50.
_IDEOGRAPH = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTER = rf"(?:(?![{_IDEOGRAPH}])\w)"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|{_LETTER}+(?:['’.@/&+-]{_LETTER}+)*")
_SENTENCE = re.compile(r"\S[^\n]*?(?:[.!?…]+(?=\s)|[。！？]+|(?=\n)|\Z)")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of the text. `score`: how much it spoke for the label; negative: against it."""

    span: Span
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Phrases:
    """The strongest first."""

    pro: tuple[Phrase, ...]
    contra: tuple[Phrase, ...]


def words_of(text: str) -> list[Span]:
    return [match.span() for match in _WORD.finditer(text)]


def sentences_of(text: str) -> list[Span]:
    """Those that have a word."""
    return [match.span() for match in _SENTENCE.finditer(text) if _WORD.search(match[0])]


def words_within(words: Sequence[Span], span: Span) -> range:
    """The numbers of the words that this span touches."""
    first = bisect_right(words, span[0], key=lambda word: word[1])
    return range(first, max(first, bisect_left(words, span[1], key=lambda word: word[0])))


def without(text: str, spans: Sequence[Span]) -> str:
    """The text without these parts, which are in order."""
    kept, end = [], 0
    for start, stop in spans:
        kept.append(text[end:start])
        end = max(end, stop)
    kept.append(text[end:])
    return re.sub(" {2,}", " ", "".join(kept))


def neighbours(text: str, words: Sequence[Span]) -> list[range]:
    """The pairs of neighbouring words with nothing but spaces between them."""
    pairs = enumerate(itertools.pairwise(words))
    return [range(n, n + 2) for n, (first, second) in pairs if not text[first[1] : second[0]].strip(" ")]


def overlaps(numbers: range, others: Iterable[range]) -> bool:
    return any(numbers.start < other.stop and other.start < numbers.stop for other in others)


def ranked(scores: Mapping[range, float], sign: Literal[1, -1]) -> list[range]:
    """Words and pairs by what they say in this direction, the strongest first, without pairs that say hardly more than
    one of their words."""

    def strength(numbers: range) -> float:
        return sign * scores.get(numbers, 0.0)

    telling = [
        each
        for each in scores
        if len(each) == 1 or strength(each) >= LEAST_GAIN * max(strength(each[:1]), strength(each[1:]))
    ]
    return sorted(telling, key=lambda each: (-strength(each), each.start, len(each)))


def choose(scores: Mapping[range, float], sign: Literal[1, -1], taken: Collection[range] = ()) -> list[range]:
    """The phrases that say most in this direction; none overlaps another or one that is taken."""
    chosen: list[range] = []
    for each in ranked(scores, sign):
        if len(chosen) < SHOWN and sign * scores[each] > 0 and not overlaps(each, (*chosen, *taken)):
            chosen.append(each)
    return chosen


def phrase(text: str, words: Sequence[Span], numbers: range, score: float) -> Phrase:
    start, end = words[numbers[0]][0], words[numbers[-1]][1]
    return Phrase((start, end), text[start:end], score)
