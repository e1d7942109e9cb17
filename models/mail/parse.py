"""Raw RFC 822 bytes → `Ticket`: headers, the text to read, and the names of attachments, which stay unread.

Broken mails are normal mails: every byte string within the limit gives a ticket. `mime` and `mail_headers` do the
reading, `mail_facts` the judging, `mail_text` chooses the parts that are the message.
"""

import re
from collections.abc import Sequence

from models.cpu_budget import UNLIMITED, Budget
from models.errors import MailError
from models.mail.body import message_text, says_little, with_inner
from models.mail.facts import FACT_FIELDS, mail_facts
from models.mail.headers import Headers, addresses, decode_words, header, split_head, values
from models.mail.mime import Part, leaves
from models.ticket import Attachment, ContentType, Ticket

__all__ = ["MAX_ATTACHMENTS", "MAX_MAIL_BYTES", "mail_facts", "parse_email"]

MAX_MAIL_BYTES = 1_000_000
"""A larger mail is refused before parsing. Attachments count: the gateway should strip them, they are never read."""

MAX_ATTACHMENTS = 50
MAX_NAME_CHARACTERS = 200
MAX_MESSAGES_DEEP = 3

_FROM_FIELDS = ("from", "sender", "reply-to", "return-path")
_TO_FIELDS = ("to", "cc")
_REPORTS = frozenset({"message/delivery-status", "message/disposition-notification", "message/feedback-report"})
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]+")


def parse_email(raw: bytes, budget: Budget = UNLIMITED) -> Ticket:
    """
    Raises:
        MailError: more bytes than are accepted.
        TooComplex: the budget is used up.
    """
    if len(raw) > MAX_MAIL_BYTES:
        raise MailError(f"the e-mail has {len(raw):,} bytes; at most {MAX_MAIL_BYTES:,} are accepted")
    return _ticket(_plain_newlines(raw), MAX_MESSAGES_DEEP, budget)


def _plain_newlines(raw: bytes) -> bytes:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raw = raw.decode("utf-16", "replace").encode("utf-8", "replace")
    raw = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return raw.lstrip(b"\n")  # some spools put blank lines before the headers


def _ticket(raw: bytes, messages_left: int, budget: Budget) -> Ticket:
    headers, body = split_head(raw)
    parts = leaves(headers, body, budget)
    message = message_text(parts, budget)
    text, content_type = message
    subject = decode_words(header(headers, "subject"))
    inner = _inner(parts, message, messages_left, budget)
    if inner is not None and text.strip():
        text, content_type = with_inner(message, inner, budget), "text/plain"
    elif inner is not None:
        text, content_type, subject = inner.body, inner.content_type, subject or inner.subject
    sender = next((found[0] for name in _FROM_FIELDS if (found := _addressed(headers, [name]))), "")
    recipients = _addressed(headers, _TO_FIELDS)
    told = [(name, value) for name in FACT_FIELDS for value in values(headers, name)]
    return Ticket(
        subject=subject,
        body=text,
        content_type=content_type,
        sender=sender,
        recipients=recipients,
        # Cc aside: people copy mail to themselves, and that is no loop.
        facts=mail_facts(told, sender=sender, recipients=_addressed(headers, ["to"])),
        attachments=_attachments(parts),
    )


def _addressed(headers: Headers, names: Sequence[str]) -> tuple[str, ...]:
    return addresses(", ".join(value for name in names for value in values(headers, name)))


def _inner(
    parts: Sequence[Part], message: tuple[str, ContentType], messages_left: int, budget: Budget
) -> Ticket | None:
    """A forward as attachment: the first message inside, below few words or none. A delivery report's is our own."""
    returned = bool(message[0].strip()) and any(part.content_type in _REPORTS for part in parts)
    if not messages_left or returned:
        return None
    attached = (part for part in parts if part.content_type in {"message/rfc822", "message/global"})
    part = next(attached, None)
    if part is None or not says_little(*message, budget):
        return None
    return _ticket(part.decoded().lstrip(b"\n"), messages_left - 1, budget)


def _attachments(parts: Sequence[Part]) -> tuple[Attachment, ...]:
    unread = [part for part in parts if part.is_attachment or part.content_type not in {"text/plain", "text/html"}]
    return tuple(Attachment(_name(part.filename), part.content_type) for part in unread[:MAX_ATTACHMENTS])


def _name(filename: str) -> str:
    return _UNPRINTABLE.sub(" ", filename).strip()[:MAX_NAME_CHARACTERS]
