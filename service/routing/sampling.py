"""Random shares of the tickets: stable by the ticket's id, without one by its text, in all processes and for all
bundles. A share that grows keeps the tickets that were in it."""

import hashlib
from typing import Literal

Purpose = Literal["holdout", "canary", "shadow"]
"""The shares of two purposes are independent of each other."""


def is_in_share(share: float, purpose: Purpose, ticket_id: str | None, text_digest: bytes) -> bool:
    if not share:
        return False
    name = text_digest if ticket_id is None else ticket_id.encode(errors="surrogatepass")
    number = int.from_bytes(hashlib.blake2b(name, digest_size=8, person=purpose.encode()).digest())
    return number < share * 2**64
