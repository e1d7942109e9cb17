"""The thread below a mail: an agent's earlier answer, the writer's own earlier mail, or a forwarded mail."""

import datetime as dt

from training.sample.choice import chance
from training.sample.company import PRODUCT, SUPPORT_ADDRESS
from training.sample.grammar import sentence, tidy
from training.sample.phrasebook import Intent
from training.sample.render import Draft, Thread
from training.sample.scene import Scene, stamp

_SUPPORT = f"{PRODUCT} Support"


def agent_thread(scene: Scene, topic: Intent, subject: str) -> Thread:
    """The agent's answer to an earlier mail; often with that mail below it."""
    department = topic.departments[0][0]
    answer = (
        tidy(scene.say("agent_open")),
        sentence(scene.say("agent_ack")) if chance(scene.rng, 0.4) else sentence(scene.say(f"agent.{department}")),
        scene.say("agent_close"),
    )
    earlier = customer_thread(scene, topic, subject, days=6) if chance(scene.rng, 0.35) else None
    lead, marked = _lead(scene, (_SUPPORT, SUPPORT_ADDRESS), subject, days=2)
    return Thread(lead, answer, marked, earlier)


def customer_thread(scene: Scene, topic: Intent, subject: str, days: int = 5) -> Thread:
    """The writer's own earlier mail about the topic."""
    problem = sentence(scene.expand(scene.rng.choice(topic.phrases["problem"])))
    person = scene.person
    lead, marked = _lead(scene, (person.name, person.email), subject, days)
    return Thread(lead, (tidy(scene.say("greeting")), problem, person.first), marked)


def forwarded(scene: Scene, inner: Scene, mail: Draft) -> Thread:
    mark = scene.say("forward_mark")
    head = _headers(scene, (inner.person.name, inner.person.email), mail.subject, days=1)
    closing = ("\n".join(mail.signature),) if mail.signature else ()
    return Thread((mark, *head), (*mail.paragraphs, *closing), marked=False)


def _lead(scene: Scene, author: tuple[str, str], subject: str, days: int) -> tuple[tuple[str, ...], bool]:
    """The lines above and before a quote: Outlook writes headers; most programs write one line, and ">" before each
    line."""
    outlook = {"outlook": 1.0, "plain": 0.25}.get(scene.person.client, 0.0)
    if chance(scene.rng, outlook):
        return (scene.say("outlook_mark"), *_headers(scene, author, subject, days)), False
    scene.memo |= {"other_name": author[0], "other_email": author[1], "stamp": stamp(scene, _before(scene, days))}
    return (scene.say("on_wrote"),), True


def _headers(scene: Scene, author: tuple[str, str], subject: str, days: int) -> tuple[str, ...]:
    to = SUPPORT_ADDRESS if author[1] != SUPPORT_ADDRESS else scene.person.email
    return (
        f"{scene.say('head_from')}: {author[0]} <{author[1]}>",
        f"{scene.say(scene.rng.choice(('head_sent', 'head_date')))}: {stamp(scene, _before(scene, days))}",
        f"{scene.say('head_to')}: {to}",
        f"{scene.say('head_subject')}: {subject}",
    )


def _before(scene: Scene, days: int) -> dt.datetime:
    """A moment of office hours some days ago."""
    day = scene.created - dt.timedelta(days=days)
    return day.replace(hour=scene.rng.randrange(8, 18), minute=scene.rng.randrange(60))
