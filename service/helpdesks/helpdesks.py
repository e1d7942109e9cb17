"""`Helpdesks`: all connections of the service, and what runs for them."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from service.automation.in_force import InForce
from service.decision import Decision
from service.errors import ServiceError
from service.helpdesks import outbox
from service.helpdesks.connections import ConnectionsError, load_connections
from service.helpdesks.intake.reconcile import Reconciler
from service.helpdesks.intake.triage import Triage
from service.helpdesks.intake.webhooks import Webhooks
from service.helpdesks.kinds import adapter_of
from service.helpdesks.link import Link
from service.helpdesks.metrics import HelpdeskGauges, HelpdeskMetrics
from service.helpdesks.outbox import Depth
from service.helpdesks.types import CallError
from service.helpdesks.worker import Worker
from service.http.body import BodyReader
from service.lifecycle import end, repeat
from service.records.database.schema import milliseconds_now
from service.records.records import Records
from service.routing.cpu_pool import CpuPool
from service.routing.router import Router
from service.settings import Settings

CHECK_SECONDS = 3600.0
RETRY_SECONDS = 30.0
"""Between two checks while the helpdesk does not answer."""
DEPTH_SECONDS = 2.0

_log = structlog.get_logger()


class Helpdesks:
    """The file of the connections is read at once: a fault in it ends the start.

    Raises:
        ConnectionsError: a line for each fault of the file; or nothing is recorded.
    """

    def __init__(
        self,
        settings: Settings,
        router: Router,
        render: Callable[[Decision], str],
        report: Callable[[Decision], None],
        explain: Callable[[Decision], Awaitable[Sequence[str]]],
        records: Records | None,
        automation: InForce | None,
        cpu_pool: CpuPool,
        bodies: BodyReader,
        registry: CollectorRegistry,
    ) -> None:
        assert settings.connections_file is not None
        if records is None or automation is None:
            raise ConnectionsError(f"{settings.connections_file}: connections need a record, and records are off")
        self.links: Mapping[str, Link] = {
            name: Link(adapter_of(connection))
            for name, connection in load_connections(settings.connections_file).items()
        }
        self._records = records
        self._settings = settings
        self._metrics = HelpdeskMetrics(registry, self.links)
        self._depths: dict[str, Depth] = {}
        registry.register(HelpdeskGauges(self.links, lambda: self._depths, milliseconds_now))
        triage = Triage(router.decide, render, report, explain, records, settings)
        self._reconciler = Reconciler(triage, records, self._metrics)
        self._webhooks = Webhooks(self.links, triage, router.check, records, cpu_pool, bodies, self._metrics, settings)
        self._workers = [
            Worker(link, records, automation, self._metrics) for link in self.links.values() if not link.is_off
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def add_to(self, app: FastAPI) -> None:
        self._webhooks.add_to(app)

    async def start(self) -> None:
        if self._records.database.kind == "sqlite" and self._records.cause is None:
            # No other process can be at work on them.
            await self._records.write(outbox.release_all)
        for worker in self._workers:
            worker.start()
        depths = repeat(self._read_depths, DEPTH_SECONDS, "depth of the outbox not read")
        self._tasks.append(asyncio.create_task(depths))
        for link in self.links.values():
            if not link.is_off:
                self._tasks.append(asyncio.create_task(self._check(link)))
                if link.connection.table.reconcile and link.connection.token is not None:
                    self._tasks.append(asyncio.create_task(self._reconcile(link)))

    async def stop(self) -> None:
        """No effect if it was not started."""
        for worker in self._workers:
            await worker.stop()
        await end(*self._tasks)
        for link in self.links.values():
            await link.close()

    def status(self) -> list[dict[str, Any]]:
        """The values of `schemas.ConnectionOut`."""
        none = Depth(0, 0, None)
        return [
            {**link.status(), "waiting": self._depths.get(name, none).open, "dead": self._depths.get(name, none).dead}
            for name, link in self.links.items()
        ]

    async def _check(self, link: Link) -> None:
        while True:
            answered = False
            try:
                answered = await link.check()
            except Exception:  # go on: the next check may succeed
                _log.exception("connection not checked", connection=link.name)
            await asyncio.sleep(CHECK_SECONDS if answered else RETRY_SECONDS)

    async def _reconcile(self, link: Link) -> None:
        while True:
            try:
                await self._reconciler.run(link)
            except (CallError, ServiceError) as error:
                _log.warning("new tickets not listed", connection=link.name, cause=str(error))
            except Exception:  # go on: the next time may succeed
                _log.exception("new tickets not listed", connection=link.name)
            # Not all processes at the same time.
            await asyncio.sleep(self._settings.reconcile_seconds * random.uniform(0.9, 1.1))

    async def _read_depths(self) -> None:
        self._depths = await self._records.read(outbox.depths)
