"""Chooses the text of a mail among its parts, and joins it with a message that was forwarded as attachment.

The plain text is preferred, unless it is short and the HTML says more. Used by `parse` only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from models.cpu_budget import Budget
from models.mail.mime import Part
from models.text.html import MARK, html_to_text
from models.ticket import ContentType, Ticket

MAX_TEXT_PARTS = 16
FEW_WORDS = 100
"""A longer plain text is the message; a shorter one may be a placeholder for the HTML, or a forwarder's note."""
MAX_PEEK = 60_000
"""Characters that are read to compare plain text with HTML."""

FORWARD_LINE = "---------- Forwarded message ---------"
_WORD = re.compile(r"\w{2,}")


@dataclass(frozen=True, slots=True)
class Message:
    text: str
    content_type: ContentType
    decoded: bool = True
    """All of it could be decoded."""


def message_of(parts: Sequence[Part], budget: Budget) -> Message:
    """The message from the text parts: the plain text, or HTML that says more, or both if their words differ."""
    plain_parts = [part for part in parts if part.kind == "plain"]
    plain_parts = [part for part in plain_parts if part.content_type == "text/plain"] or plain_parts
    plain, plain_decoded = _joined(plain_parts, "\n\n", budget)
    html, html_decoded = _joined([part for part in parts if part.kind == "html"], "\n<hr>\n", budget)
    plain_words = _words(plain, "text/plain", budget)
    if not html or len(plain_words) > FEW_WORDS:
        return Message(plain, "text/plain", plain_decoded)
    if not plain_words:
        return Message(html, "text/html", html_decoded)
    html_words = _words(html, "text/html", budget)
    distinct = set(plain_words)
    shared = distinct & set(html_words)
    html_says_more = len(html_words) > 2 * len(plain_words)
    html_says_else = bool(html_words) and 4 * len(shared) <= len(distinct)
    if not (html_says_more or html_says_else):
        return Message(plain, "text/plain", plain_decoded)
    html_has_plain = 4 * len(shared) >= 3 * len(distinct)
    lines = escape(plain.strip()).replace("\n", "<br>\n")
    both = html if html_has_plain else f"<p>{lines}</p>\n{html}"
    return Message(both, "text/html", plain_decoded and html_decoded)


def is_short(message: Message, budget: Budget) -> bool:
    """Whether the text may be a forwarder's note, such as "please handle" with a signature."""
    return len(_words(message.text, message.content_type, budget)) <= FEW_WORDS


def join_forwarded(message: Message, inner: Ticket, budget: Budget) -> str:
    """The text above and the message inside, as a mail client writes a forward."""
    above = as_text(message.text, message.content_type, budget)
    return "\n\n".join((above, FORWARD_LINE, inner.subject, as_text(inner.body, inner.content_type, budget)))


def _joined(parts: Sequence[Part], between: str, budget: Budget) -> tuple[str, bool]:
    texts, all_decoded = [], True
    for part in parts[:MAX_TEXT_PARTS]:
        budget.check_now()
        text, decoded = part.text()
        all_decoded &= decoded
        if text.strip():
            texts.append(text)
    return between.join(texts), all_decoded


def _words(text: str, content_type: ContentType, budget: Budget) -> list[str]:
    text = as_text(text[:MAX_PEEK], content_type, budget)
    return _WORD.findall(text[:MAX_PEEK].casefold())


def as_text(text: str, content_type: ContentType, budget: Budget) -> str:
    return html_to_text(text, budget=budget).replace(MARK, "") if content_type == "text/html" else text
