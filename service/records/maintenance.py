"""What happens to the record while the service runs, apart from requests: the estimate of the live quality, and
the deletion of what is too old."""

import asyncio
from functools import partial

import structlog

from service.lifecycle import end, repeat
from service.records import live
from service.records.database.schema import first_id, milliseconds_now
from service.records.records import Records
from service.records.retention import DAY_MS, portions
from service.settings import Settings

PERIOD_SECONDS = 300.0
PAUSE_SECONDS = 0.05
"""Between two portions, for the tickets that wait for the same connection."""

_log = structlog.get_logger()


class Maintenance:
    """`estimate`: None before the first one."""

    def __init__(self, records: Records, settings: Settings) -> None:
        self._records = records
        self._settings = settings
        self._task: asyncio.Task[None] | None = None
        self.estimate: live.Estimate | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(repeat(self._run, PERIOD_SECONDS, "maintenance of the records failed"))

    async def stop(self) -> None:
        """No effect if it was not started."""
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        self.estimate = await self._estimate()  # while the database is away, the previous one stays
        await self._prune()

    async def _prune(self) -> None:
        settings = self._settings
        days, text_days, closed_days = settings.records_days, settings.records_text_days, settings.closed_tickets_days
        for prune_portion in portions(days, text_days, milliseconds_now(), closed_days).values():
            count = await self._records.write(prune_portion)
            while count:
                await asyncio.sleep(PAUSE_SECONDS)
                count = await self._records.write(prune_portion)

    async def _estimate(self) -> live.Estimate:
        now_ms = milliseconds_now()
        since_ms = now_ms - self._settings.records_live_days * DAY_MS
        total, routed = await self._records.read(lambda connection: live.counts(connection, since_ms))
        sums, last = live.Sums(), first_id(since_ms)
        while True:
            # One short query each: pages of decisions wait for the same connections.
            after = await self._records.read(partial(live.add_portion, after=last, sums=sums))
            if after is None:
                return live.estimate_of(sums, since_ms, now_ms, total, routed)
            last = after
