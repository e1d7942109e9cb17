"""From an event to its decision on record, with what is to be written: the part that webhooks and listings share."""

import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import Connection

from models.fields import DEPARTMENT
from models.scoring import Outcome, Reason, Verdict
from models.ticket import Ticket
from service.context import RequestContext
from service.decision import Decision
from service.helpdesks import outbox
from service.helpdesks.connections import Mode
from service.helpdesks.feedback import Choice, Labels, choice_of, count, store_choices
from service.helpdesks.link import Link
from service.helpdesks.manners import is_own_write, on_arrival
from service.helpdesks.metrics import HelpdeskMetrics
from service.helpdesks.types import Event, Ignored
from service.records.database.schema import milliseconds_now
from service.records.feedback import Received
from service.records.identity import Identity
from service.records.records import Records
from service.records.redact import kept_text
from service.records.rows import Draft
from service.records.store import Further, insert_further
from service.settings import Settings

LISTED = "list:"
"""First part of the delivery key of a ticket that was listed."""


class Triage:
    """`decide`, `render`: the router's decision about a ticket, and its JSON. `report`: called with each decision that
    is on record, for metrics and traces. `explain`: the words that spoke most for a decision's department. `labels`: of
    the bundle being served."""

    def __init__(
        self,
        decide: Callable[[Ticket, RequestContext], Awaitable[Decision]],
        render: Callable[[Decision], str],
        report: Callable[[Decision], None],
        explain: Callable[[Decision], Awaitable[Sequence[str]]],
        labels: Labels,
        records: Records,
        metrics: HelpdeskMetrics,
        settings: Settings,
    ) -> None:
        self._decide = decide
        self._render = render
        self._report = report
        self._explain = explain
        self._labels = labels
        self._metrics = metrics
        self._records = records
        self._settings = settings

    async def take(
        self, link: Link, events: Sequence[tuple[str, Event]], context: RequestContext
    ) -> list[tuple[str, str]]:
        """Decide the events, each once; return for each its state and reason. `events`: with their delivery keys.

        When it returns, everything is on record.

        Raises:
            ServiceError: the rest could not be taken now; the helpdesk sends the call again.
        """
        now_ms = milliseconds_now()
        tickets = {link.ticket_id(event.ticket) for _, event in events}
        keys = [key for key, _ in events]
        seen, (written, payloads), forgotten = await self._records.read(
            lambda database: (
                outbox.seen(database, link.name, keys),
                outbox.decided(database, link.caller, tickets),
                outbox.forgotten_of(database, tickets),
            )
        )
        results: list[tuple[str, str]] = []
        ignored: list[Further] = []
        choices: list[Choice] = []
        for key, event in events:
            ticket = link.ticket_id(event.ticket)
            reason = on_arrival(event, link.rules, now_ms)
            if key in seen:
                results.append(("repeated", "seen"))
                continue
            choice = Choice()
            if ticket in written and not event.by_program and not link.is_off:
                choice = choice_of(
                    link,
                    ticket,
                    event.values,
                    event.state,
                    event.changed_ms,
                    payload=payloads.get(ticket),
                    written=written[ticket],
                    labels=self._labels(),
                )
            if ticket in forgotten:
                reason = Ignored.FORGOTTEN
            elif choice != Choice():
                choices.append(choice)
                reason = Ignored.FEEDBACK if choice.feedback else reason or Ignored.ROUTED
            elif is_own_write(event, written.get(ticket, {})):
                reason = Ignored.OWN_WRITE
            elif reason is None and ticket in written:
                reason = Ignored.ROUTED
            if reason is None:
                stored = await self._records.once(
                    _identity(link, ticket),
                    context.deadline,
                    lambda e=event, k=key: self._draft(link, e, k, context),  # type: ignore[misc]
                )
                if stored.decision is not None:
                    self._report(stored.decision)
                if not stored.repeated:
                    results.append(("processed", stored.outcome))
                    link.wake.set()
                    continue
                reason = Ignored.ROUTED
            results.append(("ignored", reason.value))
            if reason is Ignored.OTHER_EVENT and key.startswith(LISTED):
                continue  # of any ticket that was changed
            # Forgotten: its id must not come back.
            kept = None if reason is Ignored.FORGOTTEN else ticket
            ignored.append(outbox.delivery_row(link.name, key, kept, "ignored", reason.value, now_ms))
        if ignored:

            def record(database: Connection) -> list[Received | None]:
                insert_further(database, ignored)
                return store_choices(database, choices)

            count(link.name, choices, await self._records.write(record), self._records, self._metrics)
        return results

    async def _draft(self, link: Link, event: Event, key: str, context: RequestContext) -> Draft:
        started = time.perf_counter()
        ticket = Ticket(
            event.subject,
            event.body,
            event.content_type,
            link.ticket_id(event.ticket),
            event.sender,
            event.recipients,
        )
        decision = await self._decide(ticket, context)
        text = await kept_text(ticket, decision.text, self._settings)
        words = await self._explain(decision) if has_note(link, decision.verdict) else ()
        return Draft(
            decision,
            self._render,
            1000 * (time.perf_counter() - started),
            text=text,
            further=lambda final: rows_of(link, event, key, final, milliseconds_now(), words),
        )


def has_note(link: Link, verdict: Verdict) -> bool:
    """Whether a note will suggest the department, as far as it is known before the ticket is read."""
    department, connection = verdict.department, link.connection
    label = department.predicted
    if not connection.table.note or label is None:
        return False
    mode = connection.mode_of(DEPARTMENT, label)
    routed = department.outcome is Outcome.ROUTE and connection.target_of(DEPARTMENT, label) is not None
    return mode is Mode.SUGGEST or (mode is Mode.ROUTE and not routed)


def rows_of(
    link: Link, event: Event, key: str, decision: Decision, now_ms: int, words: Sequence[str] = ()
) -> tuple[Further, ...]:
    """What is recorded with a decision: the delivery, and what is to be written. `words`: for a note."""
    ticket = link.ticket_id(event.ticket)
    verdict = decision.verdict
    delivery = outbox.delivery_row(link.name, key, ticket, "processed", verdict.department.outcome.value, now_ms)
    if verdict.department.reason is Reason.CORRECTED:
        return (delivery,)
    modes = {
        link.connection.mode_of(field, answer.predicted)
        for field, answer in {DEPARTMENT: verdict.department, **verdict.fields}.items()
    }
    if modes <= {Mode.OFF, Mode.SHADOW}:
        return (delivery,)
    attributes = {link.rules.attribute_of(field) for field in (DEPARTMENT, *verdict.fields)}
    payload = outbox.payload_of(event, verdict, attributes, words)
    rows = [delivery, outbox.outbox_row(link.name, outbox.TICKET, ticket, decision.id, payload, now_ms)]
    if link.connection.table.event is not None:
        payload = outbox.payload_of(event, verdict, attributes)
        rows.append(outbox.outbox_row(link.name, outbox.EVENT, ticket, decision.id, payload, now_ms))
    return tuple(rows)


def _identity(link: Link, ticket: str) -> Identity:
    """One decision a ticket, whatever its text, whichever call brings it, and whatever people said since."""
    digest = hashlib.blake2b(ticket.encode(errors="surrogatepass"), digest_size=32).hexdigest()
    return Identity(link.caller, f"key:{ticket}", digest)
