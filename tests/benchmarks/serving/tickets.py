"""The texts that every server is sent: real ones from a file of tickets, or made-up ones, prepared and capped alike.

Texts are sent as the router's own cleaning leaves them, so that every server computes the same tokens; a text that
cleaning would change once more is left out.
"""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from models.bundle.bundle import Bundle
from models.text.prepare import prepare
from models.ticket import Ticket
from training.cli.options import ticket_file
from training.data.source import read_tickets
from training.sample.tickets import make_tickets

LONG_CHARACTERS = 1000
"""Cap of every text: complaints are cut here, questions are shorter anyway."""
BLOCK = 64
"""So many tickets in a row are a fair sample of all lengths: a window of any place then measures the same work."""
_MADE_ROWS = 3000
_END_OF_SENTENCE = re.compile(r"(?<=[.!?])\s")
_SHORT = range(25, 100)
_PARTS = 3
_CUT_STEP = 0.97


@dataclass(frozen=True, slots=True)
class Tickets:
    """A workload's texts in the order they are sent, and each one's tokens (special ones included)."""

    texts: tuple[str, ...]
    tokens: tuple[int, ...]

    def describe(self) -> str:
        low, middle, high = np.percentile(self.tokens, (5, 50, 95))
        mean, count = np.mean(self.tokens), len(self.texts)
        return f"{count} texts, {mean:.0f} tokens on average ({low:.0f}, {middle:.0f}, {high:.0f} at 5, 50, 95 %)"


def short_texts(seed: int = 0) -> list[str]:
    """Made-up questions: single sentences of the sample tickets."""
    sentences = chain.from_iterable(_END_OF_SENTENCE.split(body.replace("\n", " ")) for body in _bodies(seed))
    return sorted({sentence for sentence in sentences if len(sentence) in _SHORT})


def long_texts(seed: int = 0) -> list[str]:
    """Made-up complaints: several of the sample tickets' messages in one."""
    bodies = _bodies(seed)
    return ["\n".join(bodies[start : start + _PARTS]) for start in range(0, len(bodies), _PARTS)]


def texts_of(path: Path) -> list[str]:
    """The tickets of a file, subject and body, as `training` reads it.

    Raises:
        TicketRouterError: the file cannot be read or a row breaks the contract.
    """
    checked = read_tickets(ticket_file([path], [], None, None), ["department"])
    return [prepare(row.ticket).text for row in checked.rows]


def workload(texts: Iterable[str], bundle: Bundle, count: int, seed: int = 0) -> Tickets:
    """`count` texts drawn at random (all of them where there are fewer), capped, in a fair order."""
    sound = [text for text in dict.fromkeys(text[:LONG_CHARACTERS].strip() for text in texts) if _settled(text)]
    rng = random.Random(seed)
    drawn = rng.sample(sound, min(count, len(sound)))
    lengths = [len(bundle.encode(text).ids) for text in drawn]
    order = fair_order(lengths, rng)
    return Tickets(tuple(drawn[i] for i in order), tuple(lengths[i] for i in order))


def fair_order(lengths: Sequence[int], rng: random.Random, block: int = BLOCK) -> list[int]:
    """Positions in an order in which every `block` in a row are a fair sample of all lengths, shuffled inside it.

    The lengths are sorted and cut into strata; each block gets one position from every stratum.
    """
    blocks: list[list[int]] = [[] for _ in range(max(1, round(len(lengths) / block)))]
    ranked = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(ranked), len(blocks)):
        stratum = ranked[start : start + len(blocks)]
        for receiver, position in zip(rng.sample(blocks, len(stratum)), stratum, strict=True):
            receiver.append(position)
    for members in blocks:
        rng.shuffle(members)
    return list(chain.from_iterable(blocks))


def _settled(text: str) -> bool:
    return bool(text) and prepare(Ticket(body=text)).text == text


def _bodies(seed: int) -> list[str]:
    tickets = make_tickets(_MADE_ROWS, seed)
    return [prepare(Ticket(body=ticket.body)).text for ticket in tickets if ticket.content_type == "text/plain"]


def cut_to_tokens(texts: Sequence[str], bundle: Bundle) -> tuple[str, ...]:
    """The texts, those that the model would only see in part cut until it sees all of them."""
    return tuple(_cut(text, bundle) for text in texts)


def _cut(text: str, bundle: Bundle) -> str:
    while bundle.encode(text).truncated:
        text = text[: int(len(text) * _CUT_STEP)].strip()
    return text
