"""`Decision`: what the service answers about one ticket, whatever the door it came in by."""

from dataclasses import dataclass
from typing import Literal

from models.scoring import Verdict
from models.text.prepare import TextFlag

Flag = TextFlag | Literal["truncated"]
"""What was found in a ticket or cut from it: by the cleaning, or because the model takes only so many tokens."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Which model answered."""

    version: str
    variant: str
    text_version: int


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict that has a name of its own (`id`, a ULID) and says by which model it was reached."""

    id: str
    ticket_id: str | None
    verdict: Verdict
    flags: tuple[Flag, ...]
    model: ModelIdentity
