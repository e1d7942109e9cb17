"""The misroute alarm: a label whose routes people undo more often than promised goes to `suggest` by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection, func, select

from service.automation.evidence import Evidence, Watched, read_evidence, take_back
from service.lifecycle import end, repeat
from service.metrics.metrics import PREFIX
from service.records.database.schema import automation, feedback
from service.records.records import Records
from service.settings import Settings

PERIOD_SECONDS = 30.0

_log = structlog.get_logger()


class MisrouteAlarm:
    """`refresh`: called after a switch was set. `read` returns the labels to watch; empty before the first model.
    `evidence`: the last one, of labels with closed tickets. Use from one event loop only."""

    def __init__(
        self,
        records: Records,
        refresh: Callable[[], Awaitable[None]],
        read: Callable[[], Sequence[Watched]],
        registry: CollectorRegistry,
        settings: Settings,
    ) -> None:
        self._records = records
        self._refresh = refresh
        self._read = read
        self._on = settings.misroute_alarm
        self._tickets = settings.misroute_tickets
        self._fired = Counter(
            f"{PREFIX}_misroute_alarms_total", "Labels taken back.", ["field", "label"], registry=registry
        )
        self._task: asyncio.Task[None] | None = None
        self._seen: object = None
        self.evidence: tuple[Evidence, ...] = ()

    def start(self) -> None:
        self._task = asyncio.create_task(repeat(self.look, PERIOD_SECONDS, "misroute alarm failed"))

    async def stop(self) -> None:
        """No effect if it was not started."""
        if self._task is not None:
            await end(self._task)

    async def look(self) -> None:
        """Read the evidence, unless there is nothing new, and take back what it is sufficient for.

        Raises:
            RecordsUnavailable: the database is away; nothing is lost.
        """
        labels = self._read()
        for each in labels:
            self._fired.labels(each.field, each.label)
        seen = (labels, await self._records.read(_newest_ids))
        if seen == self._seen:
            return
        known = {each.watched: each for each in self.evidence}
        found = []
        for each in labels:
            # One short query each: pages of decisions wait for the same connections.
            query = partial(read_evidence, watched=each, tickets=self._tickets, known=known.get(each))
            evidence = await self._records.read(query)
            if evidence is not None and evidence.strength >= 1 and self._on:
                await self._take_back(evidence)
            elif evidence is not None and evidence.tickets:
                found.append(evidence)
        self._seen, self.evidence = seen, tuple(found)

    async def _take_back(self, evidence: Evidence) -> None:
        switch = await self._records.write(partial(take_back, evidence=evidence))
        if switch is not None:
            watched = evidence.watched
            self._fired.labels(watched.field, watched.label).inc()
            _log.warning(
                "misroute alarm",
                field=watched.field,
                label=watched.label,
                tickets=evidence.last,
                moved=evidence.last_moved,
                allowed=watched.allowed,
                switch=switch.id,
            )
        await self._refresh()


def _newest_ids(connection: Connection) -> tuple[Any, ...]:
    return tuple(connection.execute(select(func.max(table.c.id))).scalar() for table in (feedback, automation))
