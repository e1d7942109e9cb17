"""Raw RFC 822 bytes → `Ticket`: headers, the text, and the names of attachments; attachments are not read.

Every byte string within the size limit gives a ticket, because broken mails are common. `headers` and `mime` parse,
`facts` classifies the sender, `body` chooses the parts that are the message.
"""

import re
from collections.abc import Sequence

from models.cpu_budget import UNLIMITED, Budget
from models.errors import MailError
from models.mail.body import MAX_PEEK, Message, as_text, is_short, join_forwarded, message_of
from models.mail.containers import is_opaque, is_rights_managed, may_be_signed_mail, signed_content
from models.mail.facts import CALENDAR_REPLY, FACT_FIELDS, mail_facts
from models.mail.headers import Headers, addresses, decode_words, header, split_head, values
from models.mail.mime import MESSAGES, Part, leaves, media_type
from models.mail.thread import THREAD_FIELDS, thread_of
from models.ticket import Attachment, ForwardedFrom, MailFact, Ticket

__all__ = ["MAX_ATTACHMENTS", "MAX_MAIL_BYTES", "REPLY_FIELDS", "mail_facts", "parse_email", "plain_newlines"]

MAX_MAIL_BYTES = 1_000_000
"""A larger mail is refused: `reader.MailReader` removes attachments first."""

MAX_ATTACHMENTS = 50
MAX_NAME_CHARACTERS = 200
MAX_MESSAGES_DEEP = 3

_FROM_FIELDS = ("from", "sender", "reply-to", "return-path")
_TO_FIELDS = ("to", "cc")
REPLY_FIELDS = ("in-reply-to", "references")
_REPORTS = frozenset({"message/delivery-status", "message/disposition-notification", "message/feedback-report"})
_CALENDARS = frozenset({"text/calendar", "application/ics"})
_METHOD = re.compile(rb"^METHOD:([A-Z]{3,20})\b", re.MULTILINE | re.IGNORECASE)
_PGP = "-----BEGIN PGP MESSAGE-----"
_FEW_WORDS = 12
"""A greeting; more words above an encrypted message are the message."""
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]+")


def parse_email(raw: bytes, budget: Budget = UNLIMITED) -> Ticket:
    """The ticket of a raw mail; a broken mail gives what can be read of it.

    Raises:
        MailError: more bytes than are accepted.
        TooComplex: the budget is used up.
    """
    if len(raw) > MAX_MAIL_BYTES:
        raise MailError(f"the e-mail has {len(raw):,} bytes; at most {MAX_MAIL_BYTES:,} are accepted")
    return _ticket(plain_newlines(raw), MAX_MESSAGES_DEEP, budget)


def plain_newlines(raw: bytes) -> bytes:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raw = raw.decode("utf-16", "replace").encode("utf-8", "replace")
    raw = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return raw.lstrip(b"\n")  # some spools put blank lines before the headers


def _ticket(raw: bytes, messages_left: int, budget: Budget) -> Ticket:
    headers, body = split_head(raw)
    parts = leaves(headers, body, budget)
    for index, part in enumerate(parts):
        if may_be_signed_mail(part) and (inside := signed_content(part)) is not None:
            # The mail inside the first signed wrapper takes the wrapper's place.
            parts[index : index + 1] = leaves(*split_head(plain_newlines(inside)), budget)
            break
    message = message_of(parts, budget)
    text, content_type = message.text, message.content_type
    subject = decode_words(header(headers, "subject"))
    inner = _forwarded_ticket(parts, message, messages_left, budget)
    if inner is not None and text.strip():
        text, content_type = join_forwarded(message, inner, budget), "text/plain"
    elif inner is not None:
        text, content_type, subject = inner.body, inner.content_type, subject or inner.subject
    recipients = _addressed(headers, _TO_FIELDS)
    sender = next((found[0] for name in _FROM_FIELDS if (found := _addressed(headers, [name]))), "")
    fact_fields = [(name, value) for name in FACT_FIELDS for value in values(headers, name)]
    facts = mail_facts(fact_fields, sender=sender, recipients=recipients, parts=list(map(_media_type, parts)))
    if _is_unreadable(headers, parts, message, budget):
        facts |= {MailFact.UNREADABLE}
    if sender in recipients:  # a contact form sends from our address to our address; Reply-To names the customer
        sender = next((address for address in _addressed(headers, ["reply-to"]) if address != sender), sender)
    attached = [part for part in parts if part.kind is None][:MAX_ATTACHMENTS]
    return Ticket(
        subject=subject,
        body=text,
        content_type=content_type,
        sender=sender,
        recipients=recipients,
        facts=facts,
        attachments=tuple(
            Attachment(_UNPRINTABLE.sub(" ", part.filename).strip()[:MAX_NAME_CHARACTERS], part.content_type)
            for part in attached
        ),
        replied=any(header(headers, name).strip() for name in REPLY_FIELDS),
        thread=thread_of({name: header(headers, name) for name in THREAD_FIELDS}),
        forwarded_from=ForwardedFrom(inner.sender, inner.subject) if inner is not None else None,
    )


def _addressed(headers: Headers, names: Sequence[str]) -> tuple[str, ...]:
    return addresses(", ".join(value for name in names for value in values(headers, name)))


def _media_type(part: Part) -> str:
    """A part's media type; an answer to an invitation is distinguished from an invitation."""
    if part.content_type not in _CALENDARS:
        return part.content_type
    method = part.parameters.get("method", "").upper()
    if not method and (found := _METHOD.search(part.decoded()[:4_000])):
        method = found[1].decode("ascii").upper()
    return CALENDAR_REPLY if method in {"REPLY", "COUNTER"} else part.content_type


def _is_unreadable(headers: Headers, parts: Sequence[Part], message: Message, budget: Budget) -> bool:
    """Whether the message is in no known charset, encrypted, or in a container that cannot be opened."""
    if not message.decoded or media_type(header(headers, "content-type")) == "multipart/encrypted":
        return True
    # Text below a container is the footer of a mailing list or a gateway.
    if any(map(is_opaque, parts)) and (is_opaque(parts[0]) or not message.text.strip()):
        return True
    if any(map(is_rights_managed, parts)):
        return True
    if _PGP not in message.text:
        return False
    above, begins, _ = as_text(message.text[:MAX_PEEK], message.content_type, budget).partition(_PGP)
    return bool(begins) and above[-1:] in {"", "\n"} and len(above.split()) <= _FEW_WORDS


def _forwarded_ticket(parts: Sequence[Part], message: Message, messages_left: int, budget: Budget) -> Ticket | None:
    """The first attached message, if the mail itself is short. A delivery report returns our own mail: not read."""
    returned = bool(message.text.strip()) and any(part.content_type in _REPORTS for part in parts)
    if not messages_left or returned:
        return None
    part = next((part for part in parts if part.content_type in MESSAGES), None)
    if part is None or not is_short(message, budget):
        return None
    return _ticket(part.decoded().lstrip(b"\n"), messages_left - 1, budget)
