"""The queue: decisions that were left to people and that no person has decided. Statements only, for both databases.

A ticket's newest decision stands for it. Pages go by the key of their last row, so that they cost the same everywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from pydantic_core import to_json
from sqlalchemy import ColumnElement, Connection, func, literal_column, or_, select, tuple_, update

from models.fields import DEPARTMENT
from service.records.database.schema import decisions, feedback, first_id, reviews, texts

PAGE = 50
DAY_MS = 86_400_000
AGES: Mapping[str, tuple[str, int | None, int | None]] = {
    "day": ("last 24 hours", 1, None),
    "week": ("last 7 days", 7, None),
    "month": ("last 30 days", 30, None),
    "older": ("older than 7 days", None, 7),
}
"""Title, days since and days until, before now."""
UNDONE = "undone"
PORTION = 500
_LEFT = (decisions.c.outcome != literal_column("'route'"), decisions.c.settled.is_(None))
"""As in the indexes, which parameters would not match."""
_TEXTS = ("department", "reason", "field", "text")

_COLUMNS = (
    decisions.c.id,
    decisions.c.ticket_id,
    decisions.c.outcome,
    decisions.c.reason,
    decisions.c.best,
    decisions.c.confidence,
    decisions.c.holdout,
)


@dataclass(frozen=True, slots=True)
class Filter:
    """What a person asked for, as in the address; "" is no condition. `field`: a further field and its value, as
    `priority=high`."""

    order: Literal["newest", "surest"] = "newest"
    department: str = ""
    reason: str = ""
    field: str = ""
    age: str = ""
    text: str = ""

    @property
    def query(self) -> str:
        """For an address, without what is the default."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return urlencode({name: value for name, value in given.items() if value and value != "newest"})


def filter_of(query: Mapping[str, str]) -> Filter:
    """Unknown values become no condition."""
    given = {name: query.get(name, "").strip()[:200].replace("\0", "") for name in _TEXTS}
    age = query.get("age", "")
    return Filter("surest" if query.get("order") == "surest" else "newest", age=age if age in AGES else "", **given)


class Counts(NamedTuple):
    """Of all open rows."""

    total: int
    reasons: Mapping[str, int]
    departments: Mapping[str, int]


def page(
    connection: Connection, wanted: Filter, now_ms: int, *, after: str | None = None, limit: int = PAGE
) -> list[Any]:
    """The rows that follow the decision `after`, each with the beginning of its text; None: the first rows."""
    query = select(*_COLUMNS, func.substr(texts.c.body, 1, 160).label("text"))
    query = query.outerjoin(texts, texts.c.decision_id == decisions.c.id).where(*_conditions(wanted, now_ms))
    if after is not None:
        query = query.where(_beyond(connection, wanted, after, following=True))
    return list(connection.execute(query.order_by(*_order(wanted)).limit(limit)))


def neighbours(connection: Connection, wanted: Filter, now_ms: int, decision_id: str) -> tuple[str | None, str | None]:
    """The open decisions before and after this one."""
    found = []
    for following in (False, True):
        query = select(decisions.c.id).where(
            *_conditions(wanted, now_ms), _beyond(connection, wanted, decision_id, following=following)
        )
        if wanted.text:
            query = query.outerjoin(texts, texts.c.decision_id == decisions.c.id)
        found.append(connection.execute(query.order_by(*_order(wanted, following=following)).limit(1)).scalar())
    return found[0], found[1]


def counts(connection: Connection) -> Counts:
    query = select(decisions.c.reason, decisions.c.best, func.count()).where(*_is_open())
    reasons: dict[str, int] = {}
    departments: dict[str, int] = {}
    total = 0
    for reason, best, count in connection.execute(query.group_by(decisions.c.reason, decisions.c.best)):
        total += count
        reasons[reason] = reasons.get(reason, 0) + count
        if best is not None:
            departments[best] = departments.get(best, 0) + count
    return Counts(total, dict(sorted(reasons.items())), dict(sorted(departments.items())))


def is_newest(connection: Connection, decision_id: str, ticket_id: str | None) -> bool:
    if ticket_id is None:
        return True
    newest = select(func.max(decisions.c.id)).where(decisions.c.ticket_id == ticket_id)
    return connection.execute(newest).scalar() == decision_id


def _is_open() -> tuple[ColumnElement[bool], ...]:
    newer = decisions.alias("newer")
    return (
        *_LEFT,
        ~select(feedback.c.id).where(feedback.c.decision_id == decisions.c.id, feedback.c.field == DEPARTMENT).exists(),
        ~select(reviews.c.id).where(reviews.c.decision_id == decisions.c.id, reviews.c.state != UNDONE).exists(),
        ~select(newer.c.id).where(newer.c.ticket_id == decisions.c.ticket_id, newer.c.id > decisions.c.id).exists(),
    )


def closed(connection: Connection) -> list[str]:
    """Decisions that were left to people, are not open any more, and are not marked so."""
    newer = decisions.alias("newer")
    about = (feedback.c.decision_id == decisions.c.id, feedback.c.field == DEPARTMENT)
    later = (newer.c.ticket_id == decisions.c.ticket_id, newer.c.id > decisions.c.id)
    is_closed = or_(select(feedback.c.id).where(*about).exists(), select(newer.c.id).where(*later).exists())
    query = select(decisions.c.id).where(*_LEFT, is_closed)
    # The newest first, as people decide them: where all are open, each portion would look at all.
    return list(connection.execute(query.order_by(decisions.c.id.desc()).limit(PORTION)).scalars())


def mark_settled(connection: Connection, ids: Sequence[str]) -> None:
    connection.execute(update(decisions).where(decisions.c.id.in_(ids)).values(settled=True))


def _conditions(wanted: Filter, now_ms: int) -> list[ColumnElement[bool]]:
    conditions = list(_is_open())
    if wanted.department:
        conditions.append(decisions.c.best == wanted.department)
    if wanted.reason:
        conditions.append(decisions.c.reason == wanted.reason)
    if wanted.field:
        name, _, value = wanted.field.partition("=")
        # As `rows.py` writes it; the random share's are not shown.
        start = f'{to_json(name).decode()}:{{"value":{to_json(value).decode()},'
        conditions += [decisions.c.fields.contains(start, autoescape=True), ~decisions.c.holdout]
    if wanted.age:
        _, since, until = AGES[wanted.age]
        if since is not None:
            conditions.append(decisions.c.id >= first_id(now_ms - since * DAY_MS))
        if until is not None:
            conditions.append(decisions.c.id < first_id(now_ms - until * DAY_MS))
    if wanted.text:
        in_text = texts.c.body.icontains(wanted.text, autoescape=True)
        conditions.append(or_(in_text, decisions.c.ticket_id == wanted.text))
    return conditions


def _order(wanted: Filter, *, following: bool = True) -> list[ColumnElement[Any]]:
    columns = [decisions.c.id] if wanted.order == "newest" else [decisions.c.confidence, decisions.c.id]
    return [column.desc() if following else column.asc() for column in columns]


def _beyond(connection: Connection, wanted: Filter, decision_id: str, *, following: bool) -> ColumnElement[bool]:
    """After this decision in the order of the queue, or before it."""
    if wanted.order == "newest":
        return decisions.c.id < decision_id if following else decisions.c.id > decision_id
    key = tuple_(decisions.c.confidence, decisions.c.id)
    confidence = connection.execute(select(decisions.c.confidence).where(decisions.c.id == decision_id)).scalar()
    place = tuple_(1.0 if confidence is None else confidence, decision_id)
    return key < place if following else key > place
