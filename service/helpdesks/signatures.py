"""Checks that a call comes from the helpdesk: over the raw bytes, in constant time."""

import base64
import hmac
from collections.abc import Mapping

from service.errors import Unauthenticated

TOLERANCE_SECONDS = 300.0
"""How far the time of a signed call may be from ours: an older one may be replayed."""


def refuse_unless(valid: bool) -> None:
    """Raises: Unauthenticated, with the same text whatever is wrong."""
    if not valid:
        raise Unauthenticated("the call is not signed with this connection's secret, or its time is not ours")


def same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode(errors="replace"))


def hmac_of(secret: str, message: bytes, *, algorithm: str = "sha256", encoding: str = "hex") -> str:
    code = hmac.new(secret.encode(), message, algorithm)
    return code.hexdigest() if encoding == "hex" else base64.b64encode(code.digest()).decode()


def is_recent(sent_ms: int | None, now: float) -> bool:
    """`now`: Unix seconds."""
    return sent_ms is not None and abs(now - sent_ms / 1000) <= TOLERANCE_SECONDS


def basic(user: str, password: str) -> str:
    """The value of `Authorization` for our own calls."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def has_basic(headers: Mapping[str, str], secret: str) -> bool:
    """Basic authentication with the secret as password, whatever the user: `https://router:SECRET@host/` in tools that
    can send no header."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        password = base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return False
    return same(password, secret)


def has_bearer(headers: Mapping[str, str], secret: str) -> bool:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and same(value.strip(), secret)
