"""Real e-mails (RFC 822 bytes) from the same grammar, for the demo. Their senders do not occur in training rows."""

import datetime as dt
import random
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from training.sample.company import DEPARTMENTS, PRODUCT, SUPPORT_ADDRESS
from training.sample.compose import Brief, compose
from training.sample.dates import LAST_MOMENT
from training.sample.people import make_person, of_same_firm
from training.sample.phrasebook import phrasebook
from training.sample.render import Draft, body_of, plain
from training.sample.scene import Scene
from training.sample.tickets import another_intent, draw_priority


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of mail in the demo."""

    name: str
    language: str = "en"
    form: str = "new"
    client: str = "plain"
    vague: bool = False


KINDS = (
    Kind("plain"),
    Kind("html_quoted_thread", form="reply", client="gmail"),
    Kind("german", language="de"),
    Kind("auto_reply", form="auto_reply"),
    Kind("vague_subject", vague=True),
    Kind("forward", form="forward"),
    Kind("french_html", language="fr", client="outlook"),
    Kind("short", form="short"),
    Kind("outlook_thread", form="reply", client="outlook"),
    Kind("spanish", language="es"),
)


@dataclass(frozen=True, slots=True)
class SampleMail:
    name: str
    """Number and kind, for example "02-html_quoted_thread"."""
    raw: bytes
    department: str | None
    """The right department; None: an automatic reply, which has none."""


def make_mails(count: int, seed: int) -> list[SampleMail]:
    """The kinds in turn, each round of departments shuffled; deterministic, and never equal to a training row."""
    rng = random.Random(f"mails:{seed}")
    departments: list[str] = []
    mails = []
    for number in range(count):
        departments = departments or rng.sample(list(DEPARTMENTS), len(DEPARTMENTS))
        kind, department = KINDS[number % len(KINDS)], departments.pop()
        created = LAST_MOMENT + dt.timedelta(hours=9 + number)
        intent = rng.choice(phrasebook(kind.language).about(department))
        writer, inner = (Scene(rng, make_person(rng, kind.language, for_mail=True), created) for _ in range(2))
        writer.person = replace(writer.person, client=kind.client)
        inner.person = of_same_firm(inner.person, writer.person)
        other = another_intent(rng, kind.language, department)
        draft = compose(Brief(intent, draw_priority(rng, intent), other, writer, inner, kind.vague), kind.form)
        if writer.person.name not in draft.signature:
            draft = replace(draft, signature=(writer.person.name,))
        raw = _message(writer, draft, f"<{rng.getrandbits(64):016x}@{writer.person.email.partition('@')[2]}>")
        mails.append(SampleMail(f"{number + 1:02}-{kind.name}", raw, None if draft.auto_reply else department))
    return mails


def _message(scene: Scene, draft: Draft, message_id: str) -> bytes:
    """The draft as RFC 822 bytes, with a plain-text alternative beside HTML."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f'"{scene.person.name}" <{scene.person.email}>'
    message["To"] = f"{PRODUCT} Support <{SUPPORT_ADDRESS}>"
    message["Subject"] = draft.subject
    message["Date"] = format_datetime(scene.created)
    message["Message-ID"] = message_id
    if draft.auto_reply:
        message["Auto-Submitted"] = "auto-replied"
        message["X-Auto-Response-Suppress"] = "All"
    body, content_type = body_of(draft)
    if content_type == "text/plain":
        message.set_content(body)
    else:
        message.set_content(plain(draft))
        message.add_alternative(body, subtype="html")
        # By default the library draws a boundary from the global random generator, different in each run.
        message.set_boundary(f"=_part_{message_id[1:17]}")
    return message.as_bytes()
