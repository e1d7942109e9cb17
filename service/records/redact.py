"""The text of a ticket as the record keeps it."""

import asyncio

from models.redact import redact
from service.settings import Settings


async def kept_text(text: str, settings: Settings) -> tuple[str, str] | None:
    """Subject and body to keep of a prepared text, which has no subject of its own; None: no texts are kept."""
    if not settings.records_text:
        return None
    # In a thread: a text full of numbers takes 0.5 s.
    return "", await asyncio.to_thread(redact, text, settings.records_text_region)
