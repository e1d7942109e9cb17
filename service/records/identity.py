"""What makes a request the repetition of an earlier one.

1. A header `Idempotency-Key`: the same key of the same caller. Another content under that key is refused.
2. Else a ticket id: the same id with the same content, without a time limit.
3. Else the same content within a window of some seconds: a proxy that sends a POST again.

A ticket of a batch has the batch's key with its place added, or its own id; without both, its place is part of the
content, since a batch may well hold two equal tickets.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from models.ticket import Ticket
from service.errors import InvalidHeader
from service.http.headers import RawHeaders, values_of

HEADER = "Idempotency-Key"
KEY = r"[!-~]{1,255}"
"""Printable ASCII without spaces. Part of OpenAPI."""
_HEADER_BYTES = HEADER.lower().encode()
_KEY = re.compile(KEY.encode())
_GIVEN = "key:"
"""Begins the keys that callers gave."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`key`: what repetitions have in common, None: this request is no repetition of any. `digest`: of the content.
    `window_ms`: how long the key is valid; 0: always."""

    caller: str
    key: str | None
    digest: str
    window_ms: int = 0

    def corrected(self, feedback_ids: Iterable[str]) -> "Identity":
        """That of the same request after a person's word: it is no repetition of what was answered before, but for a
        caller's own key, which keeps its first answer."""
        if self.key is None or self.key.startswith(_GIVEN):
            return self
        digest = hashlib.blake2b(" ".join(sorted(feedback_ids)).encode(), digest_size=8)
        return replace(self, key=f"{self.key}/{digest.hexdigest()}")

    def keys_at(self, now_ms: int) -> tuple[str | None, tuple[str, int] | None]:
        """The key to store at this time, and what an earlier row within the window may have instead.

        A key that is valid for a window has the number of its window: the unique constraint works within one, and the
        previous window is asked for.
        """
        if self.key is None or not self.window_ms:
            return self.key, None
        number = now_ms // self.window_ms
        return f"{self.key}:{number}", (f"{self.key}:{number - 1}", now_ms - self.window_ms)


def identity_of(ticket: Ticket, caller: str, key: str | None, window_ms: int, place: int | None = None) -> Identity:
    """`key`: of `Idempotency-Key`. `window_ms` 0: a ticket without key and id is never a repetition. `place`: in its
    batch."""
    digest = _digest(ticket)
    if key is not None:
        return Identity(caller, f"{_GIVEN}{key}" if place is None else f"{_GIVEN}{key}/{place}", digest)
    if ticket.id is not None:
        return Identity(caller, f"ticket:{digest}", digest)
    return Identity(caller, f"text:{digest}/{place or 0}" if window_ms else None, digest, window_ms)


def idempotency_key(headers: RawHeaders) -> str | None:
    """The request's `Idempotency-Key`.

    Raises:
        InvalidHeader: more than one, or not 1 to 255 printable ASCII characters.
    """
    values = values_of(headers, _HEADER_BYTES)
    if not values:
        return None
    if len(values) > 1 or not _KEY.fullmatch(values[0]):
        raise InvalidHeader(f"{HEADER} must be 1 to 255 printable ASCII characters without spaces, sent once")
    return values[0].decode()


def _digest(ticket: Ticket) -> str:
    """Of everything that a decision may rest on, and of the ticket id."""
    digest = hashlib.blake2b(digest_size=32)
    facts = sorted(ticket.facts)
    parts = (ticket.id, ticket.subject, ticket.body, ticket.content_type, ticket.sender, *ticket.recipients, "", *facts)
    for part in parts:
        content = b"" if part is None else part.encode(errors="surrogatepass")
        digest.update(b"%d:" % len(content))  # with its length: ("ab", "c") differs from ("a", "bc")
        digest.update(content)
    return digest.hexdigest()
