"""Chooses the text of a mail among its parts, and joins it with a message that was forwarded as attachment.

Plain text where it is the message, HTML otherwise: programs put "your client cannot show HTML" into the plain part.
Used by `email` alone.
"""

import re
from collections.abc import Sequence
from html import escape

from models.cpu_budget import Budget
from models.mail.mime import Part
from models.text.html import html_to_text
from models.ticket import ContentType, Ticket

MAX_TEXT_PARTS = 16
FEW_WORDS = 12
PLACEHOLDER_WORDS = 60
POINTER_WORDS = 100
MAX_PEEK = 60_000
"""Characters of HTML that are read to compare."""

FORWARD_LINE = "---------- Forwarded message ---------"
_WORD = re.compile(r"\w{2,}")
# "Your mail client does not support HTML", "Diese Nachricht ist im HTML-Format", "view this message in a browser".
_SPEAKS_OF_HTML = re.compile(
    r"\bhtml\b.{0,60}(?:support|view|client|display|read|format|darstell|anzeig|affich|muestr|visualizz|weergev)"
    r"|(?:support|view|client|display|unterstütz|anzeig|affich|soport|suport|ondersteun|format).{0,60}\bhtml\b"
    r"|(?:view|see|open|read|display).{1,40}(?:in|with) (?:a|your|the) (?:web )?browser"
    r"|im (?:web)?browser|dans (?:un|votre) navigateur|en (?:el|su|tu) navegador|no (?:seu )?navegador|nel browser"
    r"|not (?:support|display).{0,60}(?:format|message|e-?mail)",
    re.IGNORECASE | re.DOTALL,
)


def message_text(parts: Sequence[Part], budget: Budget) -> tuple[str, ContentType]:
    """The text parts that are the message: plain text, or HTML where the plain text stands in for it."""
    plain = "\n\n".join(_texts(parts, "text/plain", budget))
    rich = "\n<hr>\n".join(_texts(parts, "text/html", budget))
    if not rich or not _stands_in(plain, rich, budget):
        return (plain, "text/plain") if plain or not rich else (rich, "text/html")
    if _is_placeholder(plain):
        return rich, "text/html"
    return f"<p>{escape(plain.strip())}</p>\n{rich}", "text/html"  # few words, but perhaps the customer's


def says_little(text: str, content_type: ContentType, budget: Budget) -> bool:
    """Whether the words may be a forwarder's: "please handle", with or without a signature."""
    return len(_words(text, content_type, budget)) <= POINTER_WORDS


def with_inner(message: tuple[str, ContentType], inner: Ticket, budget: Budget) -> str:
    """The words above and the message inside, as a client would write a forward."""
    above = _as_text(*message, budget)
    return "\n\n".join((above, FORWARD_LINE, inner.subject, _as_text(inner.body, inner.content_type, budget)))


def _texts(parts: Sequence[Part], kind: str, budget: Budget) -> list[str]:
    read = [part for part in parts if part.content_type == kind and not part.is_attachment][:MAX_TEXT_PARTS]
    return list(filter(str.strip, (_text(part, budget) for part in read)))


def _text(part: Part, budget: Budget) -> str:
    budget.check_now()
    return part.text()


def _stands_in(plain: str, rich: str, budget: Budget) -> bool:
    """Whether the plain text is short and the HTML says something else, and more."""
    words = _words(plain, "text/plain", budget)
    if not words or len(words) > PLACEHOLDER_WORDS or not (len(words) <= FEW_WORDS or _is_placeholder(plain)):
        return not words
    other = _words(rich, "text/html", budget)
    return bool(other) and 4 * len(set(words) & set(other)) <= len(set(words))


def _is_placeholder(plain: str) -> bool:
    return not plain.strip() or _SPEAKS_OF_HTML.search(plain[:1000]) is not None


def _words(text: str, content_type: ContentType, budget: Budget) -> list[str]:
    text = _as_text(text[:MAX_PEEK], content_type, budget)
    return _WORD.findall(text[:MAX_PEEK].casefold())


def _as_text(text: str, content_type: ContentType, budget: Budget) -> str:
    return html_to_text(text, budget=budget) if content_type == "text/html" else text
