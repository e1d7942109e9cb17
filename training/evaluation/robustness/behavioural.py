"""Behavioural tests: changes to a ticket that say nothing of its matter must not change its department.

After CheckList's invariance tests (Ribeiro et al., "Beyond Accuracy", ACL 2020). Every changed ticket goes the whole
way: cleaning, tokens, network, verdict. Directional tests ("cancel" must change it) are left out on purpose: which
word decides between which departments is each company's own matter, so there is no right answer to hold them to.
"""

import html
import random
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from models.bundle.manifest import Frozen
from models.scoring import FieldVerdict, Outcome
from models.text.prepare import prepare
from models.ticket import Ticket
from training.data.example import Example
from training.data.mail_noise import likely_language, plain_ticket

if TYPE_CHECKING:  # imports torch, too slow for `check`, whose forecast counts the changes
    from training.evaluation.bundle_answers import Predictor

LIMIT = 500
RUN_LIMIT = 200
"""Of a training run: enough rows to see a change that affects one ticket in fifty."""
TYPO_RATE = 0.02
_PHRASES = Path(__file__).with_suffix(".toml")
_LETTERS = re.compile(r"(?=[^\W\d_]{2})")


class BehaviourFigures(Frozen):
    """One change that must not change the department: rows tried, and how many changed."""

    change: str
    rows: int
    cleaned: int
    """Rows whose text was the same again after cleaning: for these the change cannot matter."""
    changed: int
    """Rows whose most likely department changed."""
    outcomes_changed: int
    """Rows whose outcome (route, suggest, review) changed though the most likely department did not."""
    routed: int
    """Rows that are routed as they came."""
    flipped: int
    """Of these, rows that are then routed to another department: nobody looks at them, so these do harm."""


@dataclass(frozen=True, slots=True)
class _Phrases:
    """What is added in one language."""

    greetings: tuple[str, ...]
    signatures: tuple[str, ...]
    quotes: tuple[str, ...]
    disclaimers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """A ticket to change, with its own source of chance and its language's phrases."""

    ticket: Ticket
    chance: random.Random
    phrases: _Phrases

    def rewritten(self, rewrite: Callable[[str], str]) -> Ticket:
        return replace(self.ticket, subject=rewrite(self.ticket.subject), body=rewrite(self.ticket.body))


Change = Callable[[_Case], Ticket]


def behaviour(
    answer: "Predictor", rows: Sequence[Example], seed: int, limit: int = LIMIT
) -> tuple[BehaviourFigures, ...]:
    """Try every change on up to `limit` of the rows.

    Args:
        answer: prepared texts in, the department's verdicts out.
        rows: closed tickets; their labels are not looked at.
        seed: of the choice of rows and of every random change.
        limit: rows at most, drawn at random.
    """
    chosen = random.Random(seed).sample(list(rows), min(limit, len(rows)))
    tickets = [plain_ticket(row.ticket) for row in chosen]
    texts = [prepare(ticket).text for ticket in tickets]
    filled = [(row, ticket, text) for row, ticket, text in zip(chosen, tickets, texts, strict=True) if text]
    before = answer([text for _, _, text in filled]) if filled else []
    figures = []
    for name, change in CHANGES.items():
        tried = []
        for (row, ticket, text), verdict in zip(filled, before, strict=True):
            case = _Case(ticket, random.Random(f"{seed} {name} {row.line}"), _phrases()[likely_language(row)])
            altered = change(case)
            if altered != ticket:
                tried.append((text, verdict, prepare(altered).text))
        if tried:
            figures.append(_figures(name, tried, answer))
    return tuple(figures)


def _figures(change: str, tried: Sequence[tuple[str, FieldVerdict, str]], answer: "Predictor") -> BehaviourFigures:
    """Figures of one change over its rows: text and verdict as they were, and the changed text."""
    new = sorted({after for text, _, after in tried if after and after != text})
    verdicts = dict(zip(new, answer(new), strict=True)) if new else {}
    pairs = [(old, old if after == text else verdicts.get(after)) for text, old, after in tried]
    return BehaviourFigures(
        change=change,
        rows=len(tried),
        cleaned=sum(text == after for text, _, after in tried),
        changed=sum(_best(old) != _best(now) for old, now in pairs),
        outcomes_changed=sum(_best(old) == _best(now) and _outcome(old) != _outcome(now) for old, now in pairs),
        routed=sum(old.outcome is Outcome.ROUTE for old, _ in pairs),
        flipped=sum(old.outcome is Outcome.ROUTE is _outcome(now) and _best(old) != _best(now) for old, now in pairs),
    )


def _best(verdict: FieldVerdict | None) -> str | None:
    """None also for a text that the change and the cleaning left nothing of: it goes to people unread."""
    return verdict.candidates[0].label if verdict and verdict.candidates else None


def _outcome(verdict: FieldVerdict | None) -> Outcome:
    return verdict.outcome if verdict else Outcome.REVIEW


@cache
def _phrases() -> Mapping[str, _Phrases]:
    read = tomllib.loads(_PHRASES.read_text("utf-8"))
    kinds = ("greetings", "signatures", "quotes", "disclaimers")
    return {language: _Phrases(*(tuple(each[kind]) for kind in kinds)) for language, each in read.items()}


def _greeting(case: _Case) -> Ticket:
    if not case.ticket.body.strip():
        return case.ticket
    return replace(case.ticket, body=f"{case.chance.choice(case.phrases.greetings)}\n\n{case.ticket.body}")


def _appended(case: _Case, phrases: Sequence[str]) -> Ticket:
    """Behind a body that has words; without one, what is added would be all there is."""
    if not case.ticket.body.strip():
        return case.ticket
    return replace(case.ticket, body=f"{case.ticket.body.rstrip()}\n\n{case.chance.choice(phrases)}\n")


def _swap_letters(text: str, chance: random.Random) -> str:
    """Neighbouring letters change places, about TYPO_RATE of them, at least one pair where there is one."""
    places = [found.start() for found in _LETTERS.finditer(text) if text[found.start()] != text[found.start() + 1]]
    chosen = [place for place in places if chance.random() < TYPO_RATE] or chance.sample(places, min(1, len(places)))
    letters, last = list(text), -2
    for place in chosen:
        if place > last + 1:  # never carry one letter along
            letters[place], letters[place + 1], last = letters[place + 1], letters[place], place
    return "".join(letters)


def _whitespace(case: _Case) -> Ticket:
    """Blanks doubled here and there, hard blanks, trailing blanks, lines further apart."""
    blanks = (" ", " ", "  ", "   ", "\u00a0")

    def rewrite(text: str) -> str:
        lines = (re.sub(" ", lambda _: case.chance.choice(blanks), line) for line in text.split("\n"))
        return "  \n\n".join(lines) + (" " if text else "")

    return case.rewritten(rewrite)


def _as_html(case: _Case) -> Ticket:
    paragraphs = (html.escape(part).replace("\n", "<br>") for part in case.ticket.body.split("\n\n"))
    body = "".join(f"<p>{part}</p>" for part in paragraphs)
    return replace(case.ticket, body=f"<html><body>{body}</body></html>", content_type="text/html")


CHANGES: Mapping[str, Change] = {
    "greeting": _greeting,
    "signature": lambda case: _appended(case, case.phrases.signatures),
    "disclaimer": lambda case: _appended(case, case.phrases.disclaimers),
    "quoted thread": lambda case: _appended(case, case.phrases.quotes),
    "typos": lambda case: case.rewritten(lambda text: _swap_letters(text, case.chance)),
    "upper case": lambda case: case.rewritten(str.upper),
    "lower case": lambda case: case.rewritten(str.lower),
    "whitespace": _whitespace,
    "HTML": _as_html,
}
