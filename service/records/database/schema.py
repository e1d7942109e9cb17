"""The tables of the record: one set of definitions and statements for SQLite and PostgreSQL.

A change here needs a migration (`migrations/versions`), which only adds: during a roll-out, services of the previous
version still write. Times are Unix milliseconds, JSON is text: both databases hold them alike.
"""

import time

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from ulid import ULID

metadata = MetaData()

ID = String(26)
DIGEST = String(64)
TICKET_ID = String(200)
CONNECTION = String(32)
_LEFT = text("outcome <> 'route' AND settled IS NULL")
_STANDS = text("state <> 'undone'")
_TO_BASE_32 = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789abcdefghijklmnopqrstuv")

decisions = Table(
    "decisions",
    metadata,
    # A ULID, whose order is that of `created_at`: ranges of times are ranges of ids (`first_id`).
    Column("id", ID, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("caller", String(63), nullable=False),
    # See `identity.py`. NULL: this request is never taken for a repetition.
    Column("idempotency_key", String(300)),
    Column("request_digest", DIGEST, nullable=False),
    Column("ticket_id", TICKET_ID),
    Column("text_digest", DIGEST, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(100), nullable=False),
    # The department is also in `fields`; its own columns let the database group and count.
    Column("department", Text),
    Column("confidence", Float, nullable=False),
    # JSON: name → {"value", "confidence", "outcome", "threshold"}, the department included.
    Column("fields", Text, nullable=False),
    # JSON: list of strings.
    Column("flags", Text, nullable=False),
    Column("rule", Text),
    Column("bundle", String(64), nullable=False),
    Column("variant", String(16), nullable=False),
    Column("latency_ms", Float, nullable=False),
    Column("holdout", Boolean, nullable=False),
    # The body of the response: a repeated request gets the same bytes.
    Column("response", Text, nullable=False),
    # A digest of the first message's id; NULL: unknown.
    Column("thread", DIGEST),
    # `canary`, or NULL: the serving bundle's.
    Column("role", String(16)),
    # The department of the best candidate, also where it is not trusted; NULL: of the random share, or none.
    Column("best", Text),
    # True: left to people, and not open any more; set some minutes after, so that the queue need not look at it.
    Column("settled", Boolean),
    UniqueConstraint("caller", "idempotency_key", name="decisions_once"),
    Index("decisions_of_ticket", "ticket_id", "id"),
    Index("decisions_outcome", "outcome", "id"),
    Index("decisions_thread", "thread"),
    # The queue of the desk, in its orders.
    Index("decisions_left", "id", sqlite_where=_LEFT, postgresql_where=_LEFT),
    Index("decisions_surest", "confidence", "id", sqlite_where=_LEFT, postgresql_where=_LEFT),
    Index("decisions_best", "best", "id", sqlite_where=_LEFT, postgresql_where=_LEFT),
    # By reason; its counts read nothing but this index.
    Index(
        "decisions_kinds",
        "reason",
        "id",
        "best",
        "ticket_id",
        "outcome",
        "settled",
        sqlite_where=_LEFT,
        postgresql_where=_LEFT,
    ),
)

feedback = Table(
    "feedback",
    metadata,
    # A ULID, so that the history of a decision is in the order of arrival.
    Column("id", ID, primary_key=True),
    Column("decision_id", ID),
    Column("ticket_id", TICKET_ID),
    Column("field", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("source", String(16), nullable=False),
    # A digest of the person, never a name or an address.
    Column("who", DIGEST),
    Column("at", BigInteger, nullable=False),
    # The decision's.
    Column("thread", DIGEST),
    Index("feedback_decision", "decision_id"),
    Index("feedback_ticket", "ticket_id"),
    # Of a value at close: the decision that routed the field, and to what; NULL: none did.
    Column("routed_by", ID),
    Column("routed_to", Text),
    Index("feedback_thread", "thread"),
    Index("feedback_routed", "field", "routed_to", "id"),
)

texts = Table(
    "texts",
    metadata,
    # The texts have a retention of their own, again by ranges of ids.
    Column("decision_id", ID, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    # The text before anything was cut; NULL: nothing was.
    Column("original", Text),
)

reviews = Table(
    "reviews",
    metadata,
    # A ULID.
    Column("id", ID, primary_key=True),
    Column("decision_id", ID, nullable=False),
    # JSON: field → value.
    Column("fields", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    # `pending` (may be undone), `writing` (feedback is stored, the helpdesk's answer is to come), `sent`, `refused` (by
    # the helpdesk), `seen` (refused, and a person has seen that), or `undone`.
    Column("state", String(16), nullable=False),
    # The row of the outbox that writes it to the helpdesk.
    Column("outbox_id", ID),
    Column("error", String(200)),
    Index("reviews_once", "decision_id", unique=True, sqlite_where=_STANDS, postgresql_where=_STANDS),
    Index("reviews_state", "state", "id"),
)

forgotten = Table(
    "forgotten",
    metadata,
    # A digest of the ticket's id.
    Column("ticket", DIGEST, primary_key=True),
    Column("at", BigInteger, nullable=False),
)

automation = Table(
    "automation",
    metadata,
    # A ULID: of the switches with the same field and selector the newest is in force, the others are its history.
    Column("id", ID, primary_key=True),
    Column("field", Text, nullable=False),
    # JSON with sorted keys: {"label": …}, {"sender_domain": …}, {"mailbox": …}, {"field": …, "value": …}, or {}: all.
    Column("selector", Text, nullable=False),
    # `off`, `suggest` or `route`.
    Column("mode", String(16), nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
)

challengers = Table(
    "challengers",
    metadata,
    # A ULID: the newest of each role is in force.
    Column("id", ID, primary_key=True),
    # `shadow` or `canary`.
    Column("role", String(16), nullable=False),
    Column("bundle", String(64), nullable=False),
    # Of the tickets; 0: withdrawn.
    Column("share", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
)

shadow_verdicts = Table(
    "shadow_verdicts",
    metadata,
    # What another bundle would have decided. Deleted with the decision.
    Column("decision_id", ID, primary_key=True),
    Column("bundle", String(64), nullable=False),
    Column("variant", String(16), nullable=False),
    # JSON, as `decisions.fields`.
    Column("fields", Text, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", ID, primary_key=True),
    Column("connection", CONNECTION, nullable=False),
    # The helpdesk's id of the call, with the place of the event where the call has several.
    Column("delivery", String(220), nullable=False),
    # As in `decisions.ticket_id`: connection and id.
    Column("ticket", TICKET_ID),
    # `processed`, `ignored` or `failed`.
    Column("state", String(16), nullable=False),
    Column("reason", String(100), nullable=False),
    Column("at", BigInteger, nullable=False),
    UniqueConstraint("connection", "delivery", name="deliveries_once"),
    Index("deliveries_ticket", "ticket"),
)

outbox = Table(
    "outbox",
    metadata,
    # A ULID: the rows of a ticket are worked off in this order.
    Column("id", ID, primary_key=True),
    Column("connection", CONNECTION, nullable=False),
    # `ticket`: to be written to the helpdesk; `event`: to be told to the URL of the user's.
    Column("kind", String(16), nullable=False),
    Column("ticket", TICKET_ID, nullable=False),
    Column("decision_id", ID, nullable=False),
    # JSON: the verdict, and the ticket's values when it arrived; nothing of its text.
    Column("payload", Text, nullable=False),
    # Of a running row: when another process may take it.
    Column("not_before", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    # `waiting`, `running`, `done` or `dead`.
    Column("state", String(16), nullable=False),
    Column("result", String(32)),
    Column("last_error", String(200)),
    Column("at", BigInteger, nullable=False),
    Index("outbox_due", "state", "not_before"),
    Index("outbox_ticket", "ticket"),
)

writes = Table(
    "writes",
    metadata,
    Column("id", ID, primary_key=True),
    Column("connection", CONNECTION, nullable=False),
    Column("ticket", TICKET_ID, nullable=False),
    # The attribute of the helpdesk's ticket.
    Column("field", String(100), nullable=False),
    Column("previous", Text),
    Column("value", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("writes_ticket", "ticket", "field"),
)

marks = Table(
    "marks",
    metadata,
    # Up to when the tickets of a helpdesk were listed.
    Column("connection", CONNECTION, primary_key=True),
    Column("at", BigInteger, nullable=False),
)


def milliseconds_now() -> int:
    return int(time.time() * 1000)


def first_id(milliseconds: int) -> str:
    """The lowest id of this time: `id >= first_id(since)` and `id < first_id(until)` select a range of times."""
    return str(ULID.from_bytes(max(0, milliseconds).to_bytes(6) + bytes(10)))


def id_after(last: str | None) -> str:
    """A new id of now, or the next after `last` if a machine whose clock is ahead made that."""
    new = str(ULID())
    return new if last is None or new > last else str(ULID.from_int(int(ULID.from_str(last)) + 1))


def milliseconds_of(decision_id: str) -> int:
    """The time in a ULID, its first ten digits of base 32; `ULID.from_str` takes ten times as long."""
    return int(decision_id[:10].translate(_TO_BASE_32), 32)
