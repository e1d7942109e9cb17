"""The service's record of decisions → the tickets decided, each with what people said about it.

The file is that of `python -m service records export`: one JSON object a decision, with the feedback on it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from models.errors import TicketRouterError
from models.fields import DEPARTMENT, FIELD_NAME
from models.label_source import LabelSource
from models.scoring import Outcome
from training.data.formats.raw import open_raw, unpacking

_LONGEST_LINE = 64 << 20
_CLOCKS = timedelta(days=1)
"""Clocks of two machines may differ: only what lies further ahead is in the future."""

FieldName = Annotated[str, StringConstraints(pattern=FIELD_NAME)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class _Strict(BaseModel):
    """Keys that a later release adds are ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Feedback(_Strict):
    """A field's value by a person, or at the ticket's close."""

    field: Name
    value: Name
    source: Literal[LabelSource.AGENT, LabelSource.CLOSE, LabelSource.IMPORT]
    at: AwareDatetime


class FieldDecision(_Strict):
    value: str | None
    outcome: Outcome
    confidence: float = 0.0


class Text(_Strict):
    subject: str
    body: str


class ShadowVerdict(_Strict):
    """What another bundle would have decided."""

    bundle: Name
    fields: Mapping[FieldName, FieldDecision]


class RecordedDecision(_Strict):
    """One line of the export. `role`: of the bundle; None: it is the serving one."""

    decision_id: Name
    ticket_id: Name | None
    created_at: AwareDatetime
    fields: Mapping[FieldName, FieldDecision]
    bundle: Name | None = None
    role: Literal["canary"] | None = None
    shadow: ShadowVerdict | None = None
    holdout: bool
    text: Text | None
    feedback: tuple[Feedback, ...]

    @property
    def ticket(self) -> str:
        """The ticket's id; a decision without one is a ticket of its own."""
        return self.ticket_id or self.decision_id


class LeftOut(StrEnum):
    """What is left out, and why."""

    FAULTY = "broken lines"
    REPEATED = "lines of a decision that the file has twice"
    FUTURE = "decisions in the future"
    LATER = "later decisions on the same ticket"
    FUTURE_FEEDBACK = "feedback in the future"
    UNKNOWN_FIELD = "feedback for fields that no decision has"
    WAITING = "tickets routed without feedback, too young to count as right"
    NOT_REVIEWED = "tickets kept for people, without feedback"
    UNLABELLED = "tickets not routed, without feedback"
    WITHOUT_TEXT = "tickets without text"
    WITHOUT_ID = "rows of --data without an id"


@dataclass(frozen=True, slots=True)
class DecidedTicket:
    """A ticket with its decisions, oldest first, and the feedback on all of them, in the order of its weight."""

    id: str
    decisions: tuple[RecordedDecision, ...]
    feedback: tuple[Feedback, ...]

    @property
    def created_at(self) -> datetime:
        return self.decisions[0].created_at

    @property
    def text(self) -> Text | None:
        """Of the first message, where it is kept."""
        return next((decision.text for decision in self.decisions if decision.text), None)

    @property
    def is_audit(self) -> bool:
        """Whether it was kept for people from its first decision to its last."""
        return all(decision.holdout for decision in self.decisions)

    def said(self, name: str) -> Feedback | None:
        """The feedback on a field that counts: the newest at close, else the newest."""
        return next((each for each in reversed(self.feedback) if each.field == name), None)

    def routed(self, name: str) -> tuple[str, datetime] | None:
        """The value that the router set last, and when."""
        for decision in reversed(self.decisions):
            found = decision.fields.get(name)
            # Of a ticket that was kept for people, the fields say what the model would have done.
            if found and not decision.holdout and found.value is not None and found.outcome is Outcome.ROUTE:
                return found.value, decision.created_at
        return None


@dataclass(frozen=True, slots=True)
class Decided:
    """The tickets of the record, the fields of its decisions, its newest time, and what was left out."""

    tickets: tuple[DecidedTicket, ...]
    decisions: int
    fields: tuple[str, ...]
    newest: datetime
    left_out: Counter[LeftOut]


def read_decisions(paths: Sequence[Path], skip_faulty: bool = False, now: datetime | None = None) -> Decided:
    """Read exports of the record, of which later ones may repeat decisions of earlier ones.

    Raises:
        TicketRouterError: a file is missing, holds no decision, or has a broken line that is not to be skipped.
    """
    latest = (now or datetime.now(UTC)) + _CLOCKS
    left_out: Counter[LeftOut] = Counter()
    by_id: dict[str, RecordedDecision] = {}
    read = 0
    for path in paths:
        for found in _lines(path, skip_faulty, left_out):
            read += 1
            earlier = by_id.get(found.decision_id)
            if earlier is not None:
                left_out[LeftOut.REPEATED] += 1
                found = found.model_copy(
                    update={
                        "feedback": tuple(dict.fromkeys((*earlier.feedback, *found.feedback))),
                        "text": found.text or earlier.text,
                    }
                )
            by_id[found.decision_id] = found
    if not read:
        raise TicketRouterError(f"{paths[0]}: no decisions; write it with `python -m service records export`")
    decisions = [each for each in by_id.values() if each.created_at <= latest]
    left_out[LeftOut.FUTURE] += len(by_id) - len(decisions)
    fields = {name for each in decisions for name in each.fields} - {DEPARTMENT}
    grouped: dict[str, list[RecordedDecision]] = {}
    for each in sorted(decisions, key=lambda one: (one.created_at, one.decision_id)):
        grouped.setdefault(each.ticket, []).append(each)
    left_out[LeftOut.LATER] += len(decisions) - len(grouped)
    tickets = []
    for name, of_ticket in grouped.items():
        # The export repeats the feedback on a ticket in each of its decisions.
        said = list(dict.fromkeys(each for decision in of_ticket for each in decision.feedback))
        known = [each for each in said if each.field == DEPARTMENT or each.field in fields]
        past = [each for each in known if each.at <= latest]
        left_out[LeftOut.UNKNOWN_FIELD] += len(said) - len(known)
        left_out[LeftOut.FUTURE_FEEDBACK] += len(known) - len(past)
        past.sort(key=lambda each: (each.source is LabelSource.CLOSE, each.at))
        tickets.append(DecidedTicket(name, tuple(of_ticket), tuple(past)))
    times = [each.created_at for each in decisions] + [each.at for ticket in tickets for each in ticket.feedback]
    newest = max(times, default=latest - _CLOCKS)
    return Decided(tuple(tickets), read, (DEPARTMENT, *sorted(fields)), newest, left_out)


def _lines(path: Path, skip_faulty: bool, left_out: Counter[LeftOut]) -> Iterator[RecordedDecision]:
    try:
        raw = open_raw(path)
        with unpacking(path), raw.open() as file:
            for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
                if not line.strip():
                    continue
                try:
                    yield RecordedDecision.model_validate_json(line)
                except ValidationError as error:
                    if not skip_faulty:
                        raise TicketRouterError(
                            f"{path}: line {number}: {_fault(error)}; --skip-faulty leaves such lines out"
                        ) from None
                    left_out[LeftOut.FAULTY] += 1
    except OSError as error:
        raise TicketRouterError(f"{path}: cannot be read ({error.strerror})") from error


def _fault(error: ValidationError) -> str:
    """What is wrong with a line, without its content: deeper places may name keys of the line."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if not first["loc"]:
        return "no JSON object"
    key = first["loc"][0]
    return f"{key} is missing" if first["type"] == "missing" and len(first["loc"]) == 1 else f"{key} is not valid"
