"""Where a ticket's label comes from: training weighs labels by it, and feedback records it."""

from enum import StrEnum


class LabelSource(StrEnum):
    """A closed set: every package uses the same values."""

    AGENT = "agent"
    """A person chose the label, e.g. by moving a ticket."""
    CLOSE = "close"
    """The value when the ticket was closed by a person."""
    IMPORT = "import"
    """Taken over from another system, where people chose it."""
    AUDIT = "audit"
    """A person chose the label of a ticket of the random share that is kept for people: a sample of all mail."""
    ROUTER_UNCHECKED = "router_unchecked"
    """The router set the label, and no person checked it."""
