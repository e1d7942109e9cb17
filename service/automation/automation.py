"""`Automation`: keeps the switches in force as they are on record.

Each process reads the table every POLL_SECONDS, so that a switch that was set at one service holds at all. A read that
fails leaves the last known switches in force; before the first one that succeeds, nothing is routed.
"""

import asyncio
import contextlib

import structlog

from service.automation.in_force import InForce
from service.automation.switches import Mode, Selector, Switch, in_force, set_switch
from service.errors import RecordsUnavailable
from service.lifecycle import end, repeat
from service.records.records import Records

POLL_SECONDS = 2.0

_log = structlog.get_logger()


class Automation:
    """Use from one event loop only."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._task: asyncio.Task[None] | None = None
        self._set = 0
        self.in_force = InForce()

    async def start(self) -> None:
        """Read the switches before the first ticket, and from now on."""
        await self._read()
        self._task = asyncio.create_task(
            repeat(self._read, POLL_SECONDS, "switches of automation not read", after=POLL_SECONDS)
        )

    async def stop(self) -> None:
        """No effect if it was not started."""
        if self._task is not None:
            await end(self._task)

    async def set(self, field: str, selector: Selector, mode: Mode, who: str, why: str) -> tuple[Switch, int]:
        """Put a switch in force: on record, and here at once. Returns it with the tickets that the same selector has
        matched.

        Raises:
            RecordsUnavailable: the database is away.
        """
        switch, found = await self._records.write(
            lambda connection: (set_switch(connection, field, selector, mode, who, why), in_force(connection))
        )
        matched = self.in_force.matched(switch)
        self._set += 1
        self.in_force.use(found)
        return switch, matched

    async def refresh(self) -> None:
        """Read the switches now, after a transaction that has set some by itself."""
        self._set += 1
        await self._read()

    async def _read(self) -> None:
        if self._records.cause is not None:
            return
        before = self._set
        with contextlib.suppress(RecordsUnavailable):
            found = await self._records.read(in_force)
            if before == self._set:  # else a switch was set meanwhile, which this read may lack
                self.in_force.use(found)
