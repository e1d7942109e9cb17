"""Carelessness in typed text, never in quotes: typos, small letters, lost apostrophes and accents."""

import random
import re

from training.sample.people import Person

_WORD = re.compile(r"[^\W\d_]{4,}")
_SHORTHAND = {
    "please": "pls",
    "Please": "Pls",
    "you": "u",
    "because": "bc",
    "and": "&",
    "tomorrow": "tmrw",
    "password": "pw",
    "invoice": "inv",
    "message": "msg",
    "account": "acct",
}
_PLAIN_LETTERS = str.maketrans("éèêàçñóíáúâôîû", "eeeacnoiauaoiu") | {
    ord("ä"): "ae",
    ord("ö"): "oe",
    ord("ü"): "ue",
    ord("ß"): "ss",
    ord("¿"): "",
    ord("¡"): "",
}


def add_typing_habits(text: str, person: Person, rng: random.Random) -> str:
    """The text with this person's typing habits."""
    if person.typo_rate:
        text = _WORD.sub(lambda found: _mistype(found[0], person.typo_rate, rng), text)
    if person.typo_rate >= 0.05:
        # One habit of fast typing: no apostrophes, shorthand, no accents, or three marks for one.
        match rng.randrange(4):
            case 0:
                text = text.replace("'", "")
            case 1:
                text = re.sub(r"\b\w+\b", lambda found: _SHORTHAND.get(found[0], found[0]), text)
            case 2:
                text = text.translate(_PLAIN_LETTERS)
            case _:
                text = re.sub(r"([?!])(?=\s|$)", r"\1\1\1", text)
    return text.lower() if person.lower_case else text


def _mistype(word: str, rate: float, rng: random.Random) -> str:
    if rng.random() >= rate:
        return word
    at = rng.randrange(1, len(word) - 1)
    return rng.choice(
        (
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],  # swapped
            word[:at] + word[at + 1 :],  # dropped
            word[:at] + word[at] + word[at:],  # doubled
        )
    )
