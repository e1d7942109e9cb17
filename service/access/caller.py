"""Who is calling, as the rooms behind the front door see it: a name from the keys file, never the key."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a key is for. None contains another: a key that may do two things has both."""

    ROUTE = "route"
    FEEDBACK = "feedback"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Rate:
    """Tickets per second for good, and how many of them may come at once."""

    tickets_per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Caller:
    """`rate` None: no limit of its own. `expires` in Unix seconds, None: never."""

    name: str
    roles: frozenset[Role]
    rate: Rate | None = None
    expires: float | None = None


ANONYMOUS = Caller("anonymous", frozenset(Role))
"""Everybody, where no keys are configured."""
