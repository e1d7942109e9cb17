"""What goes wrong while a bundle is delivered. No message repeats an address's query or credentials."""

from models.errors import TicketRouterError


class DeliveryError(TicketRouterError):
    """The bundle cannot be delivered, and trying again would not help."""


class Interruption(DeliveryError):
    """The connection or the other side failed: another attempt may succeed."""


def wrong_digest(where: str, expected: str, got: str) -> DeliveryError:
    """Both are SHA-256 in hex."""
    return DeliveryError(
        f"{where}: wrong digest: expected sha256:{expected}, got sha256:{got}; nothing was unpacked. "
        "Is this the archive that the digest was taken of?"
    )


def not_installed() -> DeliveryError:
    return DeliveryError("the fetch group is not installed; install it with: pip install --group fetch")
