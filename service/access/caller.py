"""The authenticated caller of a request: its name in the keys file, its roles and its rate; never its key."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a key permits. Roles do not include each other: a key for two purposes has both roles."""

    ROUTE = "route"
    FEEDBACK = "feedback"
    REVIEW = "review"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Rate:
    """Sustained tickets per second, and the number of tickets accepted at once."""

    tickets_per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Caller:
    """`rate` None: no rate limit. `expires` in Unix seconds; None: never."""

    name: str
    roles: frozenset[Role]
    rate: Rate | None = None
    expires: float | None = None


ANONYMOUS = Caller("anonymous", frozenset(Role))
"""Every caller, if no keys file is configured."""
