"""Which column plays which role: by `--column`, otherwise by its name and what it holds. Where two could, it asks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.importing.states import CLOSED, UNKNOWN, states_of
from training.data.importing.survey import ColumnProfile, Survey, typed, value_shares
from training.data.names import KIND, TOPIC, columns_named, is_own_name, names_of, plain_name, roles, with_team_word

SPLITS = {
    "train": "train", "training": "train",
    "valid": "validation", "validation": "validation", "val": "validation", "dev": "validation",
    "calibration": "calibration", "cal": "calibration",
    "test": "test", "": "",
}  # fmt: skip
"""Usual names of the parts → parts; empty: the split decides the row's part."""
DATES = ("created_at", "closed_at")
_LEAST_TEXT = 25
"""Characters of a mean cell that may be a message."""
_TICKET_TYPES = frozenset(
    ("incident", "question", "problem", "task", "request", "service request", "bug", "change", "feature request",
     "story", "epic", "subtask", "complaint", "enquiry", "inquiry", "feature", "issue", "feedback", "störung",
     "anfrage", "demande", "incidente", "solicitud", "solicitação", "incidência", "refund", "other")
)  # fmt: skip


_TIERS = (
    "a team's name",
    "a topic's name; no column has a team's",
    "a kind's name; no column has a team's or a topic's",
)
_TYPES = ("type", "tickettype", "requesttype", "casetype", "typ", "tipo")


@dataclass(frozen=True, slots=True)
class Choice:
    """A role's column, and why it was taken."""

    column: str
    why: str


def find_columns(
    found: Survey, fields: Sequence[str], mapping: Mapping[str, str], closed: Sequence[str] = ()
) -> tuple[dict[str, Choice], list[str]]:
    """Each role's column, and notes on columns that bear a role's name and cannot play it.

    Args:
        found: the file's columns.
        fields: the fields to learn, `department` first.
        mapping: role → column; an empty column means that the role is not used.
        closed: states that the user calls closed.

    Raises:
        TicketRouterError: the text, the department, a field's column or a mapped column is missing, or two columns
            could be the department.
    """
    _refuse_unknown(found, fields, mapping)
    choices = {role: Choice(column, "as --column or the mapping says") for role, column in mapping.items() if column}
    notes: list[str] = []
    for role in (*roles(), *fields):
        if role in mapping or role in choices:
            continue
        taken = [*mapping.values(), *(each.column for each in choices.values())]
        is_department = role == DEPARTMENT
        choice = _department(found, taken, notes) if is_department else _by_name(found, role, taken, notes, closed)
        if choice is not None:
            choices[role] = choice
    if "subject" not in choices and "body" not in choices:
        if not found.profiles:
            raise TicketRouterError(f"{found.table.path}: its rows hold no plain values")
        longest = max(found.profiles.values(), key=lambda profile: profile.characters)
        hint = f"; if {longest.name[:40]!a} holds the text: --column body={typed(longest.name)}"
        raise TicketRouterError(
            f"{found.table.path}: no column with text (subject, body or text); {_there(found)}{hint}"
        )
    if "body" not in choices and "body" not in mapping:
        notes += _unread_text(found, choices)
    for field in fields:
        if field not in choices:
            usual = " or ".join(names_of(field)[:2])
            used = [each.column for each in choices.values()]
            likely = [each for each in found.profiles.values() if each.is_label_like() and each.name not in used]
            hint = ""
            if likely:
                asked = f"--column {field}={typed(likely[0].name)}"
                hint = f"; these look like labels: {value_shares(likely[:3])}: {asked}"
            raise TicketRouterError(f"{found.table.path}: no column {usual}; {_there(found)}{hint}")
    return choices, notes


def _unread_text(found: Survey, choices: Mapping[str, Choice]) -> Iterator[str]:
    """A column that nothing names as the body, and that could be: to take it could learn from an agent's answer."""
    used = [choice.column for choice in choices.values()]
    texts = [each for each in found.profiles.values() if each.name not in used and not each.is_label_like()]
    longest = max(texts, key=_mean_length, default=None)
    if longest and _mean_length(longest) > max(_LEAST_TEXT, _mean_length(found.profiles[choices["subject"].column])):
        name = typed(longest.name)
        yield f"only the subject is read; if {longest.name[:40]!a} is the customer's text: --column body={name}"


def _by_name(found: Survey, role: str, taken: Sequence[str], notes: list[str], closed: Sequence[str]) -> Choice | None:
    """The first column of one of the role's names that holds what the role needs."""
    named = [name for name in columns_named(role, found.columns) if name not in taken or role in ("id", "thread")]
    longest = max((_mean_length(found.profiles[name]) for name in named), default=0.0)
    # An empty column only if there is no other; and the text is not a short column beside a long one.
    named.sort(key=lambda name: role == "body" and _mean_length(found.profiles[name]) < longest / 2)
    named.sort(key=lambda name: not found.profiles[name].filled)
    for column in named:
        why_not = _unfit(found, role, found.profiles[column], closed)
        if not why_not:
            others = [name for name in named if name != column and found.profiles[name].filled]
            also = f"; {', '.join(name[:40] for name in others[:3])} could be too" if others else ""
            return Choice(column, f"by its name{also}")
        if why_not != "empty":
            notes.append(f"column {column[:40]!a} is not read as {role}: {why_not}")
    return None


def _unfit(found: Survey, role: str, profile: ColumnProfile, closed: Sequence[str]) -> str:
    if role in DATES and profile.dates is not None and profile.dates.unreadable > profile.dates.filled / 2:
        return "most of its cells are no dates"
    values = profile.values or Counter()
    if role == "split" and values and not any(value.strip().lower() in SPLITS for value in values):
        return "its values are no names of parts"
    if role == "id" and profile.filled > 20 and profile.is_label_like() and len(profile.labels) < profile.filled / 10:
        return "its values come again and again"
    if role == "status" and len(columns_named("status", found.columns)) > 1:
        known = states_of(found.columns, closed)
        if values and not any(known.get(plain_name(value)) == CLOSED for value in values):
            return "none of its values is a closed ticket's state"
    return ""


def _mean_length(profile: ColumnProfile) -> float:
    return profile.characters / max(profile.filled, 1)


def _department(found: Survey, taken: Sequence[str], notes: list[str]) -> Choice | None:
    """The team's column. Another team's column, or a topic's beside it, leaves two readings: the user decides."""
    for tier, names in enumerate((DEPARTMENT, TOPIC, KIND)):
        by_name = columns_named(names, found.columns)
        if tier == 0 and not any(found.profiles[name].is_label_like() for name in by_name):
            by_name += [name for name in with_team_word(found.columns) if name not in by_name]
        named = [found.profiles[name] for name in by_name if name not in taken]
        likely = [each for each in named if each.is_label_like() or (each.filled and is_own_name(each.name))]
        if not likely:
            continue
        topics = _topics(found, taken) if tier == 0 else []
        if is_own_name(likely[0].name) and topics:
            notes.append(f"department is {likely[0].name[:40]!a}; {value_shares(topics[:2])} could be meant too")
            topics = []
        rivals = [rival for rival in (*likely[1:], *topics) if rival.labels != likely[0].labels]
        if rivals:
            both = [likely[0], *rivals]
            options = " or ".join(f"--column department={typed(profile.name)}" for profile in both[:4])
            count = {2: "two", 3: "three", 4: "four"}.get(len(both), str(len(both)))
            raise TicketRouterError(
                f"{found.table.path}: {count} columns could be the department: {value_shares(both[:4])}; say {options}"
            )
        return Choice(likely[0].name, f"by its name, {_TIERS[tier]}; {len(likely[0].labels)} labels")
    named = [
        found.profiles[name] for names in (DEPARTMENT, TOPIC, KIND) for name in columns_named(names, found.columns)
    ]
    named = sorted((each for each in named if each.name not in taken), key=lambda each: not each.filled)
    others = [each for each in found.profiles.values() if each.is_label_like() and each.name not in taken]
    if not any(is_own_name(each.name) for each in named) and others:
        return None
    return Choice(named[0].name, "by its name, though hardly a value comes twice") if named else None


def _topics(found: Survey, taken: Sequence[str]) -> list[ColumnProfile]:
    """Columns of topics, and of types where these are no usual types of tickets, that hold labels."""
    topics = [found.profiles[name] for name in columns_named(TOPIC, found.columns) if name not in taken]
    types = [found.profiles[name] for name in columns_named(KIND, found.columns) if plain_name(name) in _TYPES]
    # Usual types of tickets are no topics.
    usual = {
        each.name: sum(count for value, count in each.labels.items() if value.casefold() in _TICKET_TYPES)
        for each in types
    }
    types = [each for each in types if usual[each.name] < each.labels.total() / 2 and each.name not in taken]
    return [profile for profile in (*topics, *types) if profile.is_label_like()]


def _refuse_unknown(found: Survey, fields: Sequence[str], mapping: Mapping[str, str]) -> None:
    for role, column in mapping.items():
        if role not in roles() and role not in fields:
            raise TicketRouterError(
                f"--column: nothing is called {role!r}; the roles are {', '.join(dict.fromkeys((*roles(), *fields)))}"
            )
        if not column and role in fields:
            raise TicketRouterError(f"--column {role}=: {role} is what is to be learned; name its column")
        if column and column not in found.profiles:
            raise TicketRouterError(f"{found.table.path}: no column {column!a} (for {role}); {_there(found)}")


def _there(found: Survey) -> str:
    # Shortened and escaped: in a file without a header, these names are a ticket's content.
    names = ", ".join(repr(column)[1:-1][:40] for column in found.columns[:12])
    return f"it has: {names}; rename one or map it with --column ROLE=COLUMN"


def unknown_states(profile: ColumnProfile, known: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for value, count in (profile.values or {}).items():
        if known.get(plain_name(value), UNKNOWN) == UNKNOWN:
            yield value, count
