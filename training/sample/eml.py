"""Real e-mails (RFC 822 bytes) from the same grammar, for the demo. Their senders do not occur in training rows."""

import datetime as dt
import random
from dataclasses import dataclass, replace
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from training.sample.author import Author
from training.sample.company import DEPARTMENTS, PRODUCT, SUPPORT_ADDRESS
from training.sample.compose import MailPlan, compose
from training.sample.dates import LAST_MOMENT
from training.sample.people import make_person, of_same_firm
from training.sample.phrasebook import phrasebook
from training.sample.render import Draft, body_of, plain
from training.sample.tickets import another_intent, draw_priority


@dataclass(frozen=True, slots=True)
class MailKind:
    """One kind of mail in the demo."""

    name: str
    language: str = "en"
    form: str = "new"
    client: str = "plain"
    vague: bool = False


KINDS = (
    MailKind("plain"),
    MailKind("html_quoted_thread", form="reply", client="gmail"),
    MailKind("german", language="de"),
    MailKind("auto_reply", form="auto_reply"),
    MailKind("vague_subject", vague=True),
    MailKind("forward", form="forward"),
    MailKind("french_html", language="fr", client="outlook"),
    MailKind("short", form="short"),
    MailKind("outlook_thread", form="reply", client="outlook"),
    MailKind("spanish", language="es"),
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
        intent = rng.choice(phrasebook(kind.language).intents_of(department))
        author, inner = (Author(rng, make_person(rng, kind.language, for_mail=True), created) for _ in range(2))
        author.person = replace(author.person, client=kind.client)
        inner.person = of_same_firm(inner.person, author.person)
        other = another_intent(rng, kind.language, department)
        draft = compose(MailPlan(intent, draw_priority(rng, intent), other, author, inner, kind.vague), kind.form)
        if author.person.name not in draft.signature:
            draft = replace(draft, signature=(author.person.name,))
        raw = _message(author, draft, f"<{rng.getrandbits(64):016x}@{author.person.email.partition('@')[2]}>")
        mails.append(SampleMail(f"{number + 1:02}-{kind.name}", raw, None if draft.auto_reply else department))
    return mails


def _message(author: Author, draft: Draft, message_id: str) -> bytes:
    """The draft as RFC 822 bytes, with a plain-text alternative beside HTML."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f'"{author.person.name}" <{author.person.email}>'
    message["To"] = f"{PRODUCT} Support <{SUPPORT_ADDRESS}>"
    message["Subject"] = draft.subject
    message["Date"] = format_datetime(author.created)
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
