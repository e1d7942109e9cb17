"""Copies of training rows inside the frame of a mail: greeting, closing, signature, disclaimer.

The text cleaning cuts on evidence only, so signatures and disclaimers reach the network. Tickets from mailboxes have
such frames in every department, and the network learns to ignore them; texts from a form have none, and a network
trained on those alone took a disclaimer for content (docs/results.md). The frames are added to training rows only.
"""

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from models.text.html import html_to_text
from models.text.prepare import prepare
from models.ticket import Ticket
from training.data.example import Example

_FRAMES = Path(__file__).with_suffix(".toml")
_GREETING, _CLOSING, _DISCLAIMER = 0.6, 0.8, 0.6
"""Chance of each part."""


def with_mail_frames(rows: Sequence[Example], share: float, seed: int) -> tuple[Example, ...]:
    """The rows, and after them copies of this share of the rows, each inside a frame of its own.

    Args:
        rows: training rows.
        share: 0…1, of the rows.
        seed: of the choice of rows and frames.
    """
    return (*rows, *(copy for _, copy in framed_copies(rows, share, seed)))


def framed_copies(rows: Sequence[Example], share: float, seed: int) -> list[tuple[int, Example]]:
    """The copies alone, each with the number of its row; arguments as in `with_mail_frames`."""
    generator = random.Random(f"{seed} mail frames")
    chosen = generator.sample(range(len(rows)), round(share * len(rows)))
    framed = [(number, _framed(rows[number], generator)) for number in sorted(chosen)]
    return [(number, copy) for number, copy in framed if copy.text]


def likely_language(item: Example) -> str:
    """The row's own language if frames of it are known, otherwise the known language with the most common words."""
    named = item.language[:2].lower()
    return named if named in _common_words() else common_word_language(item.text)[0]


def common_word_language(text: str) -> tuple[str, int]:
    """The known language with the most common words of the text, and their number."""
    known = _common_words()
    words = re.findall(r"\w+", text.lower())
    return max(((name, sum(word in known[name] for word in words)) for name in known), key=lambda item: item[1])


@cache
def _common_words() -> Mapping[str, frozenset[str]]:
    return {name: frozenset(frame["words"]) for name, frame in _frames().items() if "words" in frame}


def plain_ticket(ticket: Ticket) -> Ticket:
    """HTML as text, so that words can be added to every ticket in the same way."""
    if ticket.content_type == "text/html" or ticket.body.lstrip().startswith("<"):
        return replace(ticket, body=html_to_text(ticket.body), content_type="text/plain")
    return ticket


@cache
def _frames() -> Mapping[str, Mapping[str, Sequence[str]]]:
    return tomllib.loads(_FRAMES.read_text("utf-8"))


def _framed(item: Example, generator: random.Random) -> Example:
    frame = _frames()[likely_language(item)]
    ticket = plain_ticket(item.ticket)
    parts = [
        generator.choice(frame["greetings"]) if generator.random() < _GREETING else "",
        ticket.body,
        generator.choice(frame["closings"]) if generator.random() < _CLOSING else "",
        generator.choice(frame["disclaimers"]) if generator.random() < _DISCLAIMER else "",
    ]
    filled = {name: generator.choice(values) for name, values in _frames()["fillers"].items()}
    before, body, *after = parts
    lines = [before, body, *(part.format(**filled) for part in after)]
    ticket = replace(ticket, body="\n\n".join(line for line in lines if line))
    return replace(item, ticket=ticket, text=prepare(ticket).text)
