"""`Decision`: the service's answer for one ticket, the same for every route and command."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.scoring import Verdict
from models.text.prepare import TextFlag

Flag = TextFlag | Literal["truncated"]
"""A property of the ticket found by text cleaning, or a part removed: by the cleaning or by the model's token limit."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """The model that answered."""

    version: str
    variant: str
    text_version: int


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with an `id` (a ULID) and the model that produced it.

    `judged`: the model's verdict on a ticket of the random share, which `verdict` leaves to people; else None.
    `text_digest`: of the prepared text. `thresholds`: for each field, the confidence from which its best label is
    routed; None: never, or no model was asked.
    """

    id: str
    ticket_id: str | None
    verdict: Verdict
    flags: tuple[Flag, ...]
    model: ModelIdentity
    text_digest: str
    thresholds: Mapping[str, float | None]
    judged: Verdict | None = None
    text: str = ""
    """The prepared text: recorded only where that is switched on, never given out."""
    role: Literal["canary"] | None = None
    """Of the model; None: it is the one that serves."""
