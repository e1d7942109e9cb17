"""The text of a ticket as the record keeps it."""

import asyncio

from models.cpu_budget import TEXT_SECONDS, Budget
from models.errors import TooComplex
from models.redact import redact
from models.text.prepare import visible_text
from models.ticket import Ticket
from service.records.store import KeptText
from service.settings import Settings


async def kept_text(ticket: Ticket, text: str, settings: Settings) -> KeptText | None:
    """What to keep of a ticket and its prepared text, which has no subject of its own; None: no texts are kept."""
    if not settings.records_text:
        return None
    # In a thread: a text full of numbers takes 0.5 s.
    return await asyncio.to_thread(_kept, ticket, text, settings.records_text_region)


def _kept(ticket: Ticket, text: str, region: str | None) -> KeptText:
    try:
        whole = "" if ticket.unread else visible_text(ticket, Budget(TEXT_SECONDS))
    except TooComplex:
        whole = ""
    original = redact(whole, region) if whole and whole != text else None
    return KeptText("", redact(text, region), original)
