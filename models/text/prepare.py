"""`Ticket` → `PreparedText`: the cleaning that training and serving share.

Order: HTML to text, cap, Unicode, quoted replies and signatures, cap. Each step is a module; this one calls them and
collects the flags. No text raises an error; only a `Budget` that is used up does.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from models.cpu_budget import UNLIMITED, Budget
from models.text.attribution import first_address
from models.text.html import MARK, html_to_text
from models.text.normalise import clean, head_and_tail
from models.text.quotes import visible_reply
from models.text.signatures import DELIMITER, mark_delimiters
from models.text.subject import read_subject
from models.ticket import ForwardedFrom, MailFact, Ticket

TEXT_VERSION = 2
"""Bump when any output may change: a bundle pins it and the service refuses another."""

MAX_CHARACTERS = 8_000
"""Cap of `PreparedText.text`. The tokenizer reads the whole text even if it truncates to 512 tokens."""

WORKING_CHARACTERS = 32_000
"""Cap before the costly steps: four times the output, so that a long quoted tail cannot push the reply out."""

MAX_HTML_CHARACTERS = 1_000_000
"""Cap of HTML source: newsletters and Word's styles are much longer than their text."""

# Helpdesks' exports and API callers often send HTML without saying so.
_HTML_START = re.compile(
    r"\s{0,20}<(?:!doctype html|html|head|body|div|p|table|span|br|meta|style)\b[^<>]{0,500}>", re.IGNORECASE
)


class TextFlag(StrEnum):
    """What was found or removed, for the decision log."""

    QUOTED_REMOVED = "quoted_removed"
    SIGNATURE_REMOVED = "signature_removed"
    FORWARDED = "forwarded"
    """The message inside a forward was read, together with the text above it."""
    HTML = "html"
    CHARACTERS_CAPPED = "characters_capped"
    LIST = "list"
    ATTACHMENTS = "attachments"
    SUBJECT_ONLY = "subject_only"
    """The body is empty."""
    UNTRIMMED = "untrimmed"
    """Trimming left nothing, so the body is whole."""


@dataclass(frozen=True, slots=True)
class PreparedText:
    """The encoder's input: subject and body joined by one newline; "" for an empty ticket."""

    text: str
    flags: frozenset[TextFlag]
    forwarded_from: ForwardedFrom | None = None


def prepare(ticket: Ticket, budget: Budget = UNLIMITED) -> PreparedText:
    """
    Raises:
        TooComplex: the budget is used up.
    """
    subject = read_subject(ticket.subject)
    is_html = ticket.content_type == "text/html" or _HTML_START.match(ticket.body) is not None
    source = ticket.body.replace(MARK, "").replace(DELIMITER, "")
    if is_html:
        source = html_to_text(source[:MAX_HTML_CHARACTERS], keep_quotes=subject.forwarded, budget=budget)
    whole = clean(mark_delimiters(head_and_tail(source, WORKING_CHARACTERS)))
    whole = head_and_tail(whole, WORKING_CHARACTERS)  # NFKC may lengthen: one ligature has 18 letters
    reply = visible_reply(
        whole,
        subject=subject.text,
        forwarded=subject.forwarded,
        # None: without a subject it is unknown.
        replied=subject.replied or ticket.replied or (False if subject.text or subject.forwarded else None),
        sender=first_address(ticket.sender),
        recipients=frozenset() if subject.replied else frozenset(map(first_address, ticket.recipients)),
        budget=budget,
    )
    trimmed, whole = _without_marks(reply.text), _without_marks(whole)
    body = trimmed or whole
    text = "\n".join(filter(None, (subject.text, body)))
    capped = head_and_tail(text, MAX_CHARACTERS)
    flags = {
        TextFlag.HTML: is_html,
        TextFlag.CHARACTERS_CAPPED: len(source) > WORKING_CHARACTERS or len(capped) < len(text),
        TextFlag.FORWARDED: reply.forwarded,
        TextFlag.QUOTED_REMOVED: bool(trimmed) and reply.quoted,
        TextFlag.SIGNATURE_REMOVED: bool(trimmed) and reply.signed,
        TextFlag.UNTRIMMED: bool(whole) and not trimmed,
        TextFlag.LIST: MailFact.LIST in ticket.facts,
        TextFlag.ATTACHMENTS: bool(ticket.attachments),
        TextFlag.SUBJECT_ONLY: bool(subject.text) and not body,
    }
    return PreparedText(
        capped,
        frozenset(flag for flag, is_set in flags.items() if is_set),
        reply.forwarded_from or ticket.forwarded_from,
    )


def visible_text(ticket: Ticket, budget: Budget = UNLIMITED) -> str:
    """Subject and body as a person sees them: what `prepare` starts from, with nothing cut but what is beyond the caps.

    Raises:
        TooComplex: the budget is used up.
    """
    body = ticket.body.replace(MARK, "").replace(DELIMITER, "")
    if ticket.content_type == "text/html" or _HTML_START.match(ticket.body) is not None:
        body = html_to_text(body[:MAX_HTML_CHARACTERS], keep_quotes=True, budget=budget)
    whole = _without_marks(clean(head_and_tail(body, WORKING_CHARACTERS)))
    return "\n".join(filter(None, (read_subject(ticket.subject).text, head_and_tail(whole, WORKING_CHARACTERS))))


def _without_marks(text: str) -> str:
    return text.replace(MARK, "").replace(DELIMITER, "--").strip()
