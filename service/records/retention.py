"""What leaves the record: decisions and texts that are too old, and a ticket that is to be forgotten.

Deletions go in portions, since tickets wait for the same connection.
"""

import hashlib
from collections.abc import Callable, Collection
from functools import partial

from sqlalchemy import Connection, Table, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from service.records.database.schema import (
    closed_tickets,
    decisions,
    deliveries,
    feedback,
    first_id,
    forgotten,
    outbox,
    reviews,
    shadow_verdicts,
    texts,
    writes,
)

PORTION = 500
DAY_MS = 86_400_000
_FORGET = {
    name: dialect.insert(forgotten).on_conflict_do_update(
        index_elements=[forgotten.c.ticket], set_={"at": text("excluded.at")}
    )
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


def portions(
    days: int | None, text_days: int | None, now_ms: int, closed_days: int | None = None
) -> dict[str, Callable[[Connection], int]]:
    """What deletes a portion of the `decisions` that are older than `days`, with what helpdesks were told, of the
    `texts` that are older than `text_days`, and of the `closed_tickets` that are older than `closed_days`: call each
    until it returns 0. None: nothing is too old."""
    ages: dict[str, tuple[int | None, Callable[..., int]]] = {
        "decisions": (days, prune_decisions),
        "texts": (text_days, prune_texts),
        closed_tickets.name: (closed_days, partial(prune_rows, closed_tickets)),
        **{table.name: (days, partial(prune_rows, table)) for table in (deliveries, outbox, writes)},
    }
    return {
        name: partial(prune, before=first_id(now_ms - age * DAY_MS))
        for name, (age, prune) in ages.items()
        if age is not None
    }


def prune_decisions(connection: Connection, before: str) -> int:
    """Delete the first decisions with an id below this one, with what belongs to them; return their number."""
    ids = _first_ids(connection, decisions, before)
    _delete_all(connection, ids)
    return len(ids)


def prune_texts(connection: Connection, before: str) -> int:
    """The same with texts alone, and with the closed tickets that are shown with them."""
    ids = _first_ids(connection, texts, before)
    connection.execute(delete(texts).where(texts.c.decision_id.in_(ids)))
    connection.execute(delete(closed_tickets).where(closed_tickets.c.id.in_(ids)))
    return len(ids)


def prune_rows(table: Table, connection: Connection, before: str) -> int:
    """The same with the rows of a table whose ids are ULIDs."""
    (key,) = table.primary_key.columns
    ids = _first_ids(connection, table, before)
    connection.execute(delete(table).where(key.in_(ids)))
    return len(ids)


def forget(connection: Connection, ticket_id: str, now_ms: int) -> int:
    """Delete all about this ticket; return the number of its decisions. Its digest stays, so that decisions which still
    wait in a spool, of this process or another, are dropped when that drains."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")  # overwrite, as the file would keep the deleted bytes
    ids = list(connection.execute(select(decisions.c.id).where(decisions.c.ticket_id == ticket_id)).scalars())
    for start in range(0, len(ids), PORTION):
        _delete_all(connection, ids[start : start + PORTION])
    connection.execute(delete(feedback).where(feedback.c.ticket_id == ticket_id))
    for table in (outbox, writes, closed_tickets):
        connection.execute(delete(table).where(table.c.ticket == ticket_id))
    # The ids of the calls stay, for a repetition must be recognised.
    connection.execute(update(deliveries).where(deliveries.c.ticket == ticket_id).values(ticket=None))
    connection.execute(_FORGET[connection.dialect.name], {"ticket": _digest(ticket_id), "at": now_ms})
    return len(ids)


def forgotten_tickets(connection: Connection, tickets: Collection[str]) -> dict[str, int]:
    """Those of the tickets that were forgotten, and when."""
    digests = {_digest(each): each for each in tickets}
    found = connection.execute(select(forgotten).where(forgotten.c.ticket.in_(digests)))
    return {digests[row.ticket]: row.at for row in found}


def _delete_all(connection: Connection, ids: Collection[str]) -> None:
    # The decisions first: a shadow's verdict that is being inserted has locked its decision, and is then seen below.
    connection.execute(delete(decisions).where(decisions.c.id.in_(ids)))
    for table in (texts, feedback, shadow_verdicts, reviews):
        connection.execute(delete(table).where(table.c.decision_id.in_(ids)))
    connection.execute(delete(closed_tickets).where(closed_tickets.c.id.in_(ids)))


def _first_ids(connection: Connection, table: Table, before: str) -> list[str]:
    (key,) = table.primary_key.columns
    # Locked (PostgreSQL): several services prune at once, each its own rows.
    first = select(key).where(key < before).order_by(key).limit(PORTION).with_for_update(skip_locked=True)
    return list(connection.execute(first).scalars())


def _digest(ticket_id: str) -> str:
    return hashlib.blake2b(ticket_id.encode(errors="surrogatepass"), digest_size=32).hexdigest()
