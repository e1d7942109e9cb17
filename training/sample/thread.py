"""The thread below a mail: an agent's earlier answer, the writer's own earlier mail, or a forwarded mail."""

import datetime as dt

from training.sample.author import Author, quote_date
from training.sample.choice import chance
from training.sample.company import PRODUCT, SUPPORT_ADDRESS
from training.sample.grammar import sentence, tidy
from training.sample.phrasebook import Intent
from training.sample.render import Draft, Thread

_SUPPORT = f"{PRODUCT} Support"


def agent_thread(author: Author, topic: Intent, subject: str) -> Thread:
    """The agent's answer to an earlier mail; often with that mail below it."""
    department = topic.departments[0][0]
    answer = (
        tidy(author.phrase("agent_open")),
        sentence(author.phrase("agent_ack"))
        if chance(author.rng, 0.4)
        else sentence(author.phrase(f"agent.{department}")),
        author.phrase("agent_close"),
    )
    earlier = customer_thread(author, topic, subject, days=6) if chance(author.rng, 0.35) else None
    lead, marked = _quote_lead(author, (_SUPPORT, SUPPORT_ADDRESS), subject, days=2)
    return Thread(lead, answer, marked, earlier)


def customer_thread(author: Author, topic: Intent, subject: str, days: int = 5) -> Thread:
    """The writer's own earlier mail about the topic."""
    problem = sentence(author.expand(author.rng.choice(topic.phrases["problem"])))
    person = author.person
    lead, marked = _quote_lead(author, (person.name, person.email), subject, days)
    return Thread(lead, (tidy(author.phrase("greeting")), problem, person.first), marked)


def forwarded(author: Author, inner: Author, mail: Draft) -> Thread:
    """The mail that the author forwards, written by `inner`."""
    mark = author.phrase("forward_mark")
    head = _headers(author, (inner.person.name, inner.person.email), mail.subject, days=1)
    closing = ("\n".join(mail.signature),) if mail.signature else ()
    return Thread((mark, *head), (*mail.paragraphs, *closing), marked=False)


def _quote_lead(author: Author, sender: tuple[str, str], subject: str, days: int) -> tuple[tuple[str, ...], bool]:
    """The lines above and before a quote: Outlook writes headers; most programs write one line, and ">" before each
    line."""
    outlook = {"outlook": 1.0, "plain": 0.25}.get(author.person.client, 0.0)
    if chance(author.rng, outlook):
        return (author.phrase("outlook_mark"), *_headers(author, sender, subject, days)), False
    author.values |= {
        "other_name": sender[0],
        "other_email": sender[1],
        "stamp": quote_date(author, _office_moment(author, days)),
    }
    return (author.phrase("on_wrote"),), True


def _headers(author: Author, sender: tuple[str, str], subject: str, days: int) -> tuple[str, ...]:
    to = SUPPORT_ADDRESS if sender[1] != SUPPORT_ADDRESS else author.person.email
    name, address = sender
    return (
        f"{author.phrase('head_from')}: {name} <{address}>",
        f"{author.phrase(author.rng.choice(('head_sent', 'head_date')))}: "
        f"{quote_date(author, _office_moment(author, days))}",
        f"{author.phrase('head_to')}: {to}",
        f"{author.phrase('head_subject')}: {subject}",
    )


def _office_moment(author: Author, days: int) -> dt.datetime:
    """A moment of office hours some days ago."""
    day = author.created - dt.timedelta(days=days)
    return day.replace(hour=author.rng.randrange(8, 18), minute=author.rng.randrange(60))
