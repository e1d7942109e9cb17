"""What may be done to a ticket: pure functions, so that each rule can be tested for all of its inputs.

A person's value is one that a ticket has although neither we wrote it nor it was there when the ticket arrived as a
value that every new ticket has (`replace`). It is never overwritten, and a ticket whose department has one is not
touched at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from models.fields import DEPARTMENT
from models.scoring import Outcome, Verdict
from service.helpdesks.connections import Connection, Mode
from service.helpdesks.types import Change, Current, Event, Ignored, Written

DAY_MS = 86_400_000
FLIPS = 2
"""Writes of one field of a ticket within an hour; then it is left to people."""


class HandsOff(StrEnum):
    """Why nothing is written: a closed set, also the result of the row in the outbox."""

    ALREADY = "already"
    """It is as we would write it."""
    PERSON = "person"
    MODE = "mode"
    """The mode now in force writes nothing."""
    TOO_OLD = "too_old"
    STATE = "state"
    FLIPS = "flips"
    GONE = "gone"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Rules:
    """Of one connection: its table with the defaults of its kind."""

    connection: Connection
    attributes: Mapping[str, str]
    states: tuple[str, ...] | None
    tags: bool = True
    """Whether the helpdesk has tags: if not, an abstention is told by a note."""

    def attribute_of(self, field: str) -> str | None:
        table = self.connection.table.fields.get(field)
        named = None if table is None else table.attribute
        return named or self.attributes.get(field) or (field if table is not None else None)

    def replaceable(self, field: str) -> tuple[str, ...]:
        table = self.connection.table.fields.get(field)
        return () if table is None else tuple(table.replace)

    def touchable(self, state: str | None, created_ms: int | None, now_ms: int) -> "HandsOff | None":
        if created_ms is not None and now_ms - created_ms > self.connection.table.max_ticket_age_days * DAY_MS:
            return HandsOff.TOO_OLD
        if state is not None and self.states is not None and state not in self.states:
            return HandsOff.STATE
        return None


def on_arrival(event: Event, rules: Rules, now_ms: int) -> Ignored | None:
    """Why an event is not routed, by what it says itself."""
    if event.ignored is not None:
        return event.ignored
    if rules.connection.table.mode is Mode.OFF:
        return Ignored.OFF
    untouchable = rules.touchable(event.state, event.created_ms, now_ms)
    if untouchable is not None:
        return Ignored.TOO_OLD if untouchable is HandsOff.TOO_OLD else Ignored.STATE
    attribute = rules.attribute_of(DEPARTMENT)
    value = event.values.get(attribute) if attribute is not None else None
    # A connection that writes nothing decides these too, to be compared with what people did.
    if rules.connection.writes and value is not None and value not in rules.replaceable(DEPARTMENT):
        return Ignored.ASSIGNED
    return None


def is_own_write(event: Event, written: Mapping[str, str]) -> bool:
    """Whether an event shows what we wrote, and nothing else. `written`: by attribute."""
    shown = {name: value for name, value in event.values.items() if name in written}
    return bool(shown) and all(value == written[name] for name, value in shown.items())


def is_persons(
    current: Mapping[str, str | None],
    attribute: str,
    initial: Mapping[str, str | None],
    written: Mapping[str, str],
    replaceable: tuple[str, ...],
) -> bool:
    """Whether a person set this value. `current` lacks it: unknown, so it may be."""
    if attribute not in current:
        return True
    value = current[attribute]
    if attribute in written:
        return value != written[attribute]
    if attribute in initial and value != initial[attribute]:
        return True
    return value is not None and value not in replaceable


def chosen(
    current: Mapping[str, str | None],
    rules: Rules,
    *,
    initial: Mapping[str, str | None],
    written: Mapping[str, str],
    decided: Mapping[str, str | None],
    is_closed: bool,
) -> dict[str, str | None]:
    """By field, the label whose value people chose for the ticket; None: not exactly one label has this value.

    Of an open ticket: what neither we wrote nor it arrived with. Of a closed one: every value, for people left it.
    `decided`: by field, the label that we may just be writing.
    """
    found: dict[str, str | None] = {}
    for field, table in rules.connection.table.fields.items():
        attribute = rules.attribute_of(field)
        value = current.get(attribute) if attribute is not None else None
        if attribute is None or value is None or value in table.replace or not table.targets:
            continue
        arrived = initial.get(attribute) == value if attribute in initial else field != DEPARTMENT
        if not is_closed and (value == written[attribute] if attribute in written else arrived):
            continue
        labels = [label for label, target in table.targets.items() if target == value]
        if not is_closed and decided.get(field) in labels:
            continue
        found[field] = labels[0] if len(labels) == 1 else None
    return found


def plan(
    verdict: Verdict,
    rules: Rules,
    current: Current,
    *,
    ticket: str,
    mark: str,
    initial: Mapping[str, str | None],
    written: Mapping[str, str],
    flips: Mapping[str, int],
    now_ms: int,
    by_person: bool = False,
    words: Sequence[str] = (),
) -> tuple[Change, tuple[Written, ...]] | HandsOff:
    """What to write to a ticket as it is now, and what of it is to be recorded; or why nothing.

    `verdict`: with the switches of automation that are in force now. `initial`: the values when it arrived. `written`:
    what we wrote last. `flips`: how often within the hour. `by_person`: the verdict is a person's, so that it is
    written where the router only suggests too.
    `words`: those that spoke most for the department.
    """
    untouchable = rules.touchable(current.state, current.created_ms, now_ms)
    if untouchable is not None:
        return untouchable
    table = rules.connection.table
    values: dict[str, str] = {}
    suggested: dict[str, str] = {}
    tags: list[str] = []
    for field, answer in {DEPARTMENT: verdict.department, **verdict.fields}.items():
        label = answer.predicted
        mode, attribute = rules.connection.mode_of(field, label), rules.attribute_of(field)
        if mode in (Mode.OFF, Mode.SHADOW) or attribute is None:
            continue
        target = None if label is None else rules.connection.target_of(field, label)
        at_target = target is not None and current.values.get(attribute) == target
        if not at_target and is_persons(current.values, attribute, initial, written, rules.replaceable(field)):
            if field == DEPARTMENT:
                return HandsOff.PERSON
            continue
        if label is None:
            if field == DEPARTMENT:
                tags.append(table.review_tag)
        elif answer.outcome is Outcome.ROUTE and (mode is Mode.ROUTE or by_person) and target is not None:
            if not at_target:
                if flips.get(attribute, 0) >= FLIPS:
                    return HandsOff.FLIPS
                values[attribute] = target
        elif not at_target:
            suggested[field] = f"{field}: {label} ({min(answer.confidence, 0.99):.0%})"
            if field == DEPARTMENT:
                if words:
                    suggested[field] += f" because of {', '.join(f'“{each}”' for each in words)}"
                tags.append(table.suggest_tag)
    notes = list(suggested.values()) if table.note else []
    abstained = table.review_tag in tags and not rules.tags
    if abstained:
        notes.insert(0, "no department was sure enough")
    note = None
    if notes and not (current.marks & {*tags, mark}):
        kind = "Left to people" if abstained else "Suggestion"
        note = f"{kind} by the ticket router: {'; '.join(notes)}. (decision {mark})"
    new_tags = tuple(tag for tag in tags if tag not in current.marks) if rules.tags else ()
    if not values and not new_tags and note is None:
        active = rules.connection.mode_of(DEPARTMENT, verdict.department.predicted) in (Mode.SUGGEST, Mode.ROUTE)
        return HandsOff.ALREADY if suggested or tags or active else HandsOff.MODE
    change = Change(ticket, values, new_tags, note, mark, current)
    return change, tuple(Written(name, current.values.get(name), value) for name, value in values.items())
