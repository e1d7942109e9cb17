"""`Automation`: the switches in force and their effect.

Each process reads the table every POLL_SECONDS, so that a switch that was set at one service holds at all. A read that
fails leaves the last known switches in force; before the first one that succeeds, nothing is routed.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import structlog

from models.fields import DEPARTMENT
from models.scoring import FieldVerdict, Outcome, Reason, Verdict
from models.ticket import Ticket
from service.automation.switches import MODES, Mode, Selector, Switch, in_force, set_switch
from service.errors import RecordsUnavailable
from service.records.records import Records

POLL_SECONDS = 2.0

_log = structlog.get_logger()


class Automation:
    """`switches`: those in force; None: not yet read. Use from one event loop only."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._task: asyncio.Task[None] | None = None
        self._set = 0
        self._matched: Counter[tuple[str, str]] = Counter()
        self.switches: tuple[Switch, ...] | None = None

    async def start(self) -> None:
        """Read the switches before the first ticket, and from now on."""
        await self._read()
        self._task = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """No effect if it was not started."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def apply(self, ticket: Ticket, verdict: Verdict, *, count: bool = True) -> Verdict:
        """The verdict with what the switches leave of it. The strictest switch of a field wins; an outcome that is as
        strict already keeps its reason. `count`: not for a ticket that was counted before."""
        if self.switches is None:
            return _limited(verdict, dict.fromkeys((DEPARTMENT, *verdict.fields), Mode.SUGGEST))
        if not self.switches:
            return verdict
        modes: dict[str, Mode] = {}
        for switch in self.switches:
            if switch.matches(ticket, verdict):
                self._matched[switch.key] += count
                modes[switch.field] = max(modes.get(switch.field, Mode.ROUTE), switch.mode, key=MODES.index)
        return _limited(verdict, modes) if modes else verdict

    def matched(self, switch: Switch) -> int:
        """The number of tickets that this process has found it to match, while it was in force."""
        return self._matched[switch.key]

    async def set(self, field: str, selector: Selector, mode: Mode, who: str, why: str) -> tuple[Switch, int]:
        """Put a switch in force: on record, and here at once. Returns it with the tickets that the same selector has
        matched.

        Raises:
            RecordsUnavailable: the database is away.
        """
        switch, found = await self._records.write(
            lambda connection: (set_switch(connection, field, selector, mode, who, why), in_force(connection))
        )
        matched = self.matched(switch)
        self._set += 1
        self._use(found)
        return switch, matched

    async def refresh(self) -> None:
        """Read the switches now, after a transaction that has set some by itself."""
        self._set += 1
        await self._read()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._read()
            except Exception:  # go on: the next attempt may succeed
                _log.exception("switches of automation not read")

    async def _read(self) -> None:
        if self._records.cause is not None:
            return
        before = self._set
        with contextlib.suppress(RecordsUnavailable):
            found = await self._records.read(in_force)
            if before == self._set:  # else a switch was set meanwhile, which this read may lack
                self._use(found)

    def _use(self, found: Sequence[Switch]) -> None:
        known = None if self.switches is None else {switch.id for switch in self.switches}
        self.switches = tuple(found)
        self._matched = Counter({switch.key: self._matched[switch.key] for switch in found})
        if known != {switch.id for switch in found}:
            _log.info("automation", switches=len(found))


def _limited(verdict: Verdict, modes: dict[str, Mode]) -> Verdict:
    return Verdict(
        _limited_field(verdict.department, modes.get(DEPARTMENT)),
        {name: _limited_field(field, modes.get(name)) for name, field in verdict.fields.items()},
    )


def _limited_field(field: FieldVerdict, mode: Mode | None) -> FieldVerdict:
    if mode is Mode.OFF and field.outcome is not Outcome.REVIEW:
        return replace(field, outcome=Outcome.REVIEW, reason=Reason.AUTOMATION_OFF)
    if mode is Mode.SUGGEST and field.outcome is Outcome.ROUTE:
        return replace(field, outcome=Outcome.SUGGEST, reason=Reason.AUTOMATION_OFF)
    return field
