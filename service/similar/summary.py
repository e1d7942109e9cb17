"""An extractive summary: the sentences nearest to the text's centre that repeat each other least, in reading order.

Maximal marginal relevance: Carbonell and Goldstein, SIGIR 1998.
"""

import re

import numpy as np

from models.index_file import Vectors, unit

LEAST_CHARACTERS = 700
"""A shorter text is read as fast as its summary."""
SENTENCES = 3
RELEVANCE = 0.6
"""Weight of the nearness to the centre; the rest is the distance from what is chosen already."""
MOST_SENTENCES = 60
"""Of a longer text, its first and last ones: each costs a row of a model's run."""
_LEAST_WORDS = 4
"""Fewer are a greeting or a heading. Scripts without spaces are measured in characters."""
_LEAST_CHARACTERS = 12
_END = re.compile(
    r"(?<=[.!?…])[\"')\]»”]{0,2}\s+(?=\S)|(?<=[。！？])|\n[ \t]{0,20}\n|\n(?=[ \t]{0,20}(?:[-*•]|\d{1,3}[.)])\s)"
)
_ABBREVIATION = re.compile(r"(?:\b(?:[A-Za-zÄÖÜäöü]|Mr|Mrs|Ms|Dr|Nr|No|St|bzw|ca|etc|vs|Inc|Ltd|usw|approx)|\.\w)\.$")


def sentences(text: str) -> list[str]:
    """The text's sentences in their order, on one line each."""
    found: list[str] = []
    for part in _END.split(text):
        sentence = " ".join(part.split())
        if not sentence:
            continue
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] = f"{found[-1]} {sentence}"
        else:
            found.append(sentence)
    return found


def candidates(text: str) -> list[str]:
    """The sentences that may stand in a summary; none of a short text."""
    if len(text) < LEAST_CHARACTERS:
        return []
    long = dict.fromkeys(each for each in sentences(text) if _says_something(each))
    found = list(long)
    if len(found) > MOST_SENTENCES:
        found = found[: MOST_SENTENCES * 3 // 4] + found[-(MOST_SENTENCES // 4) :]
    return found if len(found) > SENTENCES else []


def chosen(vectors: Vectors, count: int = SENTENCES) -> list[int]:
    """The numbers of the sentences to show, ascending. `vectors`: theirs, of unit length."""
    relevance = vectors @ unit(vectors.mean(axis=0))
    repeated = np.full(len(vectors), 0.0, dtype=np.float32)
    left, taken = set(range(len(vectors))), list[int]()
    while left and len(taken) < count:
        best = max(sorted(left), key=lambda row: RELEVANCE * relevance[row] - (1 - RELEVANCE) * repeated[row])
        taken.append(best)
        left.remove(best)
        repeated = np.maximum(repeated, vectors @ vectors[best])
    return sorted(taken)


def _says_something(sentence: str) -> bool:
    if len(sentence.split()) >= _LEAST_WORDS:
        return True
    return not sentence.isascii() and " " not in sentence and len(sentence) >= _LEAST_CHARACTERS
