"""`Ticket`: one incoming message as every package sees it, whether it came as JSON, as a raw mail or as a table row.

`mail.parse` makes one from raw bytes, `service` from JSON, `training` from a row; `text.prepare` reads it.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

ContentType = Literal["text/plain", "text/html"]


class MailFact(StrEnum):
    """What the headers say about the sender (RFC 3834 and the filters of helpdesks)."""

    AUTOMATIC = "automatic"
    """Sent by a program: `Auto-Submitted`, `X-Autoreply` and the like."""
    VACATION = "vacation"
    """An out-of-office reply; always together with AUTOMATIC."""
    BOUNCE = "bounce"
    """A report on the delivery of a mail."""
    LOOP = "loop"
    """Our own mail returned: `X-Loop`, or the sender is the only recipient and there is no other reply address."""
    SPAM = "spam"
    """A spam filter on the way says so. A forged header only sends the ticket to review."""
    UNREADABLE = "unreadable"
    """The text could not be read: it is encrypted, in an unsupported container, or in no known charset."""
    LIST = "list"
    """Sent through a mailing list or in bulk. A flag only: bulk is not spam."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment's name and declared type; its content is never read."""

    name: str
    content_type: str


@dataclass(frozen=True, slots=True)
class ForwardedFrom:
    """Sender (an address, else a name) and subject of the message inside a forward, as its header gives them."""

    sender: str
    subject: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """One message. The text is as it arrived: `text.prepare` cleans it, in training and in serving."""

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
    thread: str | None = None
    """A digest of the id of the thread's first message (`mail.thread`); None: unknown."""
    forwarded_from: ForwardedFrom | None = None
    """Of a message forwarded as attachment; `PreparedText` has that of a message forwarded in the text."""
    unread: bool = False
    """Reading it took more than its `Budget`, so its text is unknown."""
