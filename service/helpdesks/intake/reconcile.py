"""Lists the tickets of a helpdesk that are new since the last time, and takes those whose call was missed."""

import asyncio

import structlog

from service.context import RequestContext
from service.errors import DeadlinePassed, Overloaded
from service.helpdesks import outbox
from service.helpdesks.intake.triage import LISTED, Triage
from service.helpdesks.link import Link
from service.helpdesks.metrics import HelpdeskMetrics
from service.helpdesks.types import Event, Ignored
from service.records.database.schema import milliseconds_now
from service.records.records import Records

OVERLAP_MS = 600_000
"""Before the last mark: helpdesks list a ticket some time after its creation."""
TAKE_SECONDS = 10.0
ATTEMPTS = 5

_log = structlog.get_logger()


class Reconciler:
    def __init__(self, triage: Triage, records: Records, metrics: HelpdeskMetrics) -> None:
        self._triage = triage
        self._records = records
        self._metrics = metrics

    async def run(self, link: Link) -> int:
        """Take what was missed; return how many tickets that were. The first time there is no mark: it is set, and
        nothing is taken, since a helpdesk may have years of tickets.

        Raises:
            CallError: the helpdesk does not list them; the mark stays.
            ServiceError: tickets cannot be taken now; the mark stays.
        """
        started_ms = milliseconds_now()
        mark = await self._records.read(lambda database: outbox.mark_of(database, link.name))
        missed = 0
        if mark is not None:
            events = link.adapter.created(link.client, mark - OVERLAP_MS)
            if events is None:
                return 0
            async for event in events:
                missed += await self._take(link, event)
        await self._records.write(lambda database: outbox.set_mark(database, link.name, started_ms))
        if missed:
            _log.warning("tickets of missed calls taken", connection=link.name, tickets=missed)
        return missed

    async def _take(self, link: Link, event: Event) -> bool:
        attempt = 1
        key = f"{LISTED}{event.ticket}" + (f":{event.changed_ms}" if event.changed_ms is not None else "")
        while True:
            context = RequestContext(asyncio.get_running_loop().time() + TAKE_SECONDS, link.caller)
            try:
                ((state, reason),) = await self._triage.take(link, [(key, event)], context)
                break
            except (Overloaded, DeadlinePassed) as error:
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(getattr(error, "retry_after", 1.0))
            attempt += 1
        if reason != Ignored.OTHER_EVENT:
            self._metrics.delivered(link.name, state)
        return state == "processed"
