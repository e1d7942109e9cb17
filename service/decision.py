"""`Decision`: the service's answer for one ticket, the same for every route and command."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from models.fields import DEPARTMENT
from models.scoring import FieldVerdict, Outcome, Reason, Verdict
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
    thread: str | None = None
    """Of the ticket."""
    role: Literal["canary"] | None = None
    """Of the model; None: it is the one that serves."""

    def corrected(self, values: Mapping[str, str]) -> "Decision":
        """The decision with these values, by field, that a person has set; also of fields that the bundle lacks."""
        judged = None if self.judged is None else _corrected(self.judged, values)
        return replace(self, verdict=_corrected(self.verdict, values), judged=judged)


def _corrected(verdict: Verdict, values: Mapping[str, str]) -> Verdict:
    fields = {}
    for name in (DEPARTMENT, *dict.fromkeys((*verdict.fields, *values))):
        field = verdict.of(name) or _NOT_ASKED
        if name in values:
            field = FieldVerdict(Outcome.ROUTE, Reason.CORRECTED, field.candidates, values[name])
        fields[name] = field
    return Verdict(fields.pop(DEPARTMENT), fields)


_NOT_ASKED = FieldVerdict(Outcome.REVIEW, Reason.EMPTY, ())


def field_record(verdict: FieldVerdict, threshold: float | None) -> dict[str, Any]:
    """What is recorded of a field, in JSON. `threshold`: of its best label."""
    # What the model said of tickets that are kept back tells when their automation can be switched on again.
    kept_back = verdict.reason is Reason.AUTOMATION_OFF
    field = {
        "value": verdict.candidates[0].label if kept_back else verdict.predicted,
        "confidence": verdict.confidence,
        "outcome": verdict.outcome.value,
        "threshold": threshold,
    }
    return field if verdict.corrected is None else field | {"corrected": True}
