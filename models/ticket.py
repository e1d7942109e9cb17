"""`Ticket`: one incoming message as every package sees it, whether it came as JSON, as a raw mail or as a table row.

`mail.parse` makes one from raw bytes, `service` from JSON, `training` from a row; `text.prepare` reads it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

ContentType = Literal["text/plain", "text/html"]


class MailFact(StrEnum):
    """What the headers say about who or what sent the mail (RFC 3834 and helpdesks' own filters)."""

    AUTOMATIC = "automatic"
    """Sent by a program: `Auto-Submitted`, `X-Autoreply` and the like."""
    VACATION = "vacation"
    """An out-of-office reply; always together with AUTOMATIC."""
    BOUNCE = "bounce"
    """A report on the delivery of a mail."""
    LOOP = "loop"
    """Our own mail come back: `X-Loop`, or the sender is the only recipient and nobody else is to be answered."""
    SPAM = "spam"
    """A spam filter before us says so. Its headers can be forged, but only into a person's hands."""
    UNREADABLE = "unreadable"
    """Its words could not be read: encrypted, a container nobody opens here, or in no known charset."""
    LIST = "list"
    """Sent through a mailing list or in bulk. A flag only: bulk is not spam."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment's name and declared type; its content is never read."""

    name: str
    content_type: str


@dataclass(frozen=True, slots=True)
class ForwardedFrom:
    """Who wrote the message inside a forward, as far as its header tells: an address, else a name; and its subject."""

    sender: str
    subject: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """One message. Text is as it arrived: cleaning is `text.prepare`'s work, on both sides alike."""

    subject: str = ""
    body: str = ""
    content_type: ContentType = "text/plain"
    id: str | None = None
    sender: str = ""
    recipients: tuple[str, ...] = ()
    facts: frozenset[MailFact] = field(default_factory=frozenset)
    attachments: tuple[Attachment, ...] = ()
    replied: bool = False
    """`In-Reply-To` or `References` says that it answers a mail."""
    forwarded_from: ForwardedFrom | None = None
    """Of a message forwarded as attachment; of one in the text, `PreparedText` tells."""
    unread: bool = False
    """It took more than its `Budget` to read, so nothing is known of its words."""
