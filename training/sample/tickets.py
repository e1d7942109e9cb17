"""The rows: writer, time and topic of each ticket, its department at close, and the known wrong labels."""

import datetime as dt
import random
from dataclasses import dataclass, replace

from training.sample.author import Author
from training.sample.choice import chance, weighted_choice
from training.sample.company import CONTESTED_SHARE, DEPARTMENTS, LANGUAGES, PRIORITIES, PRIORITY_WEIGHTS
from training.sample.compose import FORMS, MailPlan, compose
from training.sample.dates import arrival_times, closing_time
from training.sample.people import Person, make_person, of_same_firm
from training.sample.phrasebook import Intent, phrasebook
from training.sample.render import body_of

WRONG_LABEL_RATE = 0.02
"""Exactly this share of the rows, rounded, has a wrong department."""
_TICKETS_PER_PERSON = 1.7


@dataclass(frozen=True, slots=True)
class SampleTicket:
    """One row as a helpdesk exports it. `true_department` and `topic` are not written to any file."""

    id: str
    created_at: dt.datetime
    closed_at: dt.datetime | None
    subject: str
    body: str
    content_type: str
    requester: str
    department: str
    priority: str
    language: str
    auto_reply: bool
    true_department: str
    topic: str


def make_tickets(rows: int, seed: int) -> list[SampleTicket]:
    """`rows` tickets in order of arrival; the same arguments give the same tickets, byte for byte."""
    rng = random.Random(f"tickets:{seed}")
    people: dict[str, list[Person]] = {}
    for language, share in LANGUAGES.items():
        # Fewer people than tickets, so that some people write again.
        count = max(3, round(rows * share / _TICKETS_PER_PERSON))
        people[language] = [make_person(rng, language) for _ in range(count)]
    tickets = [_ticket(rng, number, moment, people) for number, moment in enumerate(arrival_times(rng, rows))]
    for index in rng.sample(range(rows), round(rows * WRONG_LABEL_RATE)):
        others = [name for name in DEPARTMENTS if name != tickets[index].true_department]
        tickets[index] = replace(tickets[index], department=rng.choice(others))
    return tickets


def draw_department(rng: random.Random, language: str) -> tuple[Intent, str]:
    """An intent and the department that owns it."""
    book = phrasebook(language)
    contested = book.contested()
    if contested and chance(rng, CONTESTED_SHARE):
        intent = rng.choice(contested)
        return intent, weighted_choice(rng, dict(intent.departments))
    department = weighted_choice(rng, DEPARTMENTS)
    return rng.choice(book.intents_of(department)), department


def draw_priority(rng: random.Random, intent: Intent) -> str:
    return weighted_choice(rng, dict(zip(PRIORITIES, PRIORITY_WEIGHTS[intent.temper], strict=True)))


def another_intent(rng: random.Random, language: str, department: str) -> Intent:
    other = rng.choice([name for name in DEPARTMENTS if name != department])
    return rng.choice(phrasebook(language).intents_of(other))


def _ticket(rng: random.Random, number: int, created: dt.datetime, people: dict[str, list[Person]]) -> SampleTicket:
    language = weighted_choice(rng, LANGUAGES)
    intent, department = draw_department(rng, language)
    form = weighted_choice(rng, FORMS)
    priority = "low" if form == "auto_reply" else draw_priority(rng, intent)
    person, other = (rng.choice(people[language]) for _ in range(2))
    author, colleague = (Author(rng, each, created) for each in (person, of_same_firm(other, person)))
    draft = compose(MailPlan(intent, priority, another_intent(rng, language, department), author, colleague), form)
    body, content_type = body_of(draft)
    return SampleTicket(
        id=f"T-{100_001 + number}",
        created_at=created,
        closed_at=closing_time(rng, created, priority),
        subject=draft.subject,
        body=body,
        content_type=content_type,
        requester=author.person.email,
        department=department,
        priority=priority,
        language=language,
        auto_reply=draft.auto_reply,
        true_department=department,
        topic=intent.name,
    )
