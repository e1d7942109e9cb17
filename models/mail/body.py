"""Chooses the text of a mail among its parts, and joins it with a message that was forwarded as attachment.

Plain text where it is the message, HTML where the plain part is short and the HTML says more. Used by `parse` alone.
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
"""A longer plain text is the message; a shorter one may stand in for the HTML, or be a forwarder's "please handle"."""
MAX_PEEK = 60_000
"""Characters of HTML that are read to compare."""

FORWARD_LINE = "---------- Forwarded message ---------"
_WORD = re.compile(r"\w{2,}")


@dataclass(frozen=True, slots=True)
class Message:
    text: str
    content_type: ContentType
    sure: bool = True
    """Whether all of it could be decoded."""


def message_of(parts: Sequence[Part], budget: Budget) -> Message:
    """The text parts that are the message: plain text, HTML where that says more, both where each has its own words."""
    plain_parts = [part for part in parts if part.kind == "plain"]
    plain_parts = [part for part in plain_parts if part.content_type == "text/plain"] or plain_parts
    plain, plain_sure = _joined(plain_parts, "\n\n", budget)
    rich, rich_sure = _joined([part for part in parts if part.kind == "html"], "\n<hr>\n", budget)
    words = _words(plain, "text/plain", budget)
    if not rich or len(words) > FEW_WORDS:
        return Message(plain, "text/plain", plain_sure)
    if not words:
        return Message(rich, "text/html", rich_sure)
    others = _words(rich, "text/html", budget)
    shared, own = set(words) & set(others), set(words)
    contained = 4 * len(shared) >= 3 * len(own)
    if len(others) > 2 * len(words) or (4 * len(shared) <= len(own) and others):
        lines = escape(plain.strip()).replace("\n", "<br>\n")
        both = rich if contained else f"<p>{lines}</p>\n{rich}"
        return Message(both, "text/html", plain_sure and rich_sure)
    return Message(plain, "text/plain", plain_sure)


def says_little(message: Message, budget: Budget) -> bool:
    """Whether the words may be a forwarder's: "please handle", with or without a signature."""
    return len(_words(message.text, message.content_type, budget)) <= FEW_WORDS


def with_inner(message: Message, inner: Ticket, budget: Budget) -> str:
    """The words above and the message inside, as a client would write a forward."""
    above = as_text(message.text, message.content_type, budget)
    return "\n\n".join((above, FORWARD_LINE, inner.subject, as_text(inner.body, inner.content_type, budget)))


def _joined(parts: Sequence[Part], between: str, budget: Budget) -> tuple[str, bool]:
    texts, all_sure = [], True
    for part in parts[:MAX_TEXT_PARTS]:
        budget.check_now()
        text, sure = part.text()
        all_sure &= sure
        if text.strip():
            texts.append(text)
    return between.join(texts), all_sure


def _words(text: str, content_type: ContentType, budget: Budget) -> list[str]:
    text = as_text(text[:MAX_PEEK], content_type, budget)
    return _WORD.findall(text[:MAX_PEEK].casefold())


def as_text(text: str, content_type: ContentType, budget: Budget) -> str:
    return html_to_text(text, budget=budget).replace(MARK, "") if content_type == "text/html" else text
