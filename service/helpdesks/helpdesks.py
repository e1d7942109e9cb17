"""`Helpdesks`: all connections of the service, and what runs for them."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from service.automation.in_force import InForce
from service.decision import Decision
from service.errors import ServiceError
from service.helpdesks import outbox
from service.helpdesks.connections import ConnectionsError, load_connections, unknown_names
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
FAULT_SECONDS = 300.0
"""Between two checks while it refuses us: rights come back without a change of the file."""
DEPTH_SECONDS = 2.0
POLL_SECONDS = 2.0

_log = structlog.get_logger()


class Helpdesks:
    """The file of the connections is read at once: a fault in it ends the start. A changed file, or a changed secret
    that it names, takes effect within POLL_SECONDS; if it has a fault, the connections stay as they are.

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
        self._path = settings.connections_file
        self.links = _read(self._path)
        self._fault: str | None = None
        self._records = records
        self._settings = settings
        self._metrics = HelpdeskMetrics(registry, self.links)
        self._depths: dict[str, Depth] = {}
        self._removed: set[str] = set()
        self._unknown: dict[str, list[str]] = {}
        gauges = HelpdeskGauges(self.links, lambda: self._depths, lambda: self._fault is None, milliseconds_now)
        registry.register(gauges)

        def labels() -> dict[str, frozenset[str]]:
            return {each.field.name: frozenset(each.field.labels) for each in router.engine.graph.scorings}

        self._labels = labels
        triage = Triage(router.decide, render, report, explain, labels, records, self._metrics, settings)
        self._reconciler = Reconciler(triage, records, self._metrics)
        self._webhooks = Webhooks(self.links, triage, router.check, records, cpu_pool, bodies, self._metrics, settings)
        self._new_worker = partial(Worker, records=records, automation=automation, labels=labels, metrics=self._metrics)
        self._workers: dict[str, Worker] = {}
        self._tasks_of: dict[str, list[asyncio.Task[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def add_to(self, app: FastAPI) -> None:
        self._webhooks.add_to(app)

    async def start(self) -> None:
        if self._records.database.kind == "sqlite" and self._records.cause is None:
            # No other process can be at work on them.
            await self._records.write(outbox.release_all)
        for link in self.links.values():
            self._begin(link)
        for work, seconds, failed in (
            (self._read_depths, DEPTH_SECONDS, "depth of the outbox not read"),
            (self.reload_if_changed, POLL_SECONDS, "connections file not checked"),
        ):
            self._tasks.append(asyncio.create_task(repeat(work, seconds, failed, after=seconds)))

    async def stop(self) -> None:
        """No effect if it was not started."""
        await end(*self._tasks)
        for worker in self._workers.values():
            await worker.stop()
        for tasks in self._tasks_of.values():
            await end(*tasks)
        for link in self.links.values():
            await link.close()

    async def reload_if_changed(self) -> None:
        """Replace the connections that the file has otherwise than before."""
        try:
            # In a thread: reading a mounted folder may hang.
            found = await asyncio.to_thread(_read, self._path)
        except ConnectionsError as error:
            if self._fault != str(error):
                self._fault = str(error)
                _log.error("connections file refused: the connections stay as they are", cause=self._fault)
            return
        if self._fault is not None:
            self._fault = None
            _log.info("connections file is right again")
        before = dict(self.links)
        changed = {name for name, link in found.items() if name not in before or before[name].is_other(link)}
        removed = before.keys() - found.keys()
        self._metrics.create_series(changed)
        for name in sorted(changed | removed):
            if name in found:
                self.links[name] = found[name]  # at once: no call may come in between
            else:
                del self.links[name]
            if name in before:
                await self._end(before[name])
            if name in found:
                self._begin(found[name])
        if changed or removed:
            _log.info("connections changed", changed=sorted(changed), removed=sorted(removed))

    def status(self) -> tuple[list[dict[str, Any]], str | None]:
        """The values of `schemas.ConnectionOut`, and why the changed file is not in use."""
        none = Depth(0, 0, None)
        links = [
            {**link.status(), "waiting": self._depths.get(name, none).open, "dead": self._depths.get(name, none).dead}
            for name, link in self.links.items()
        ]
        return links, self._fault

    def _begin(self, link: Link) -> None:
        if link.is_off:
            return
        self._workers[link.name] = worker = self._new_worker(link)
        worker.start()
        tasks = self._tasks_of[link.name] = [asyncio.create_task(self._check(link))]
        if link.connection.table.reconcile and link.connection.token is not None:
            tasks.append(asyncio.create_task(self._reconcile(link)))

    async def _end(self, link: Link) -> None:
        if link.name in self._workers:  # until they have ended, `stop` must find them
            await end(*self._tasks_of[link.name])
            await self._workers[link.name].finish()
            del self._tasks_of[link.name], self._workers[link.name]
        await link.close()

    async def _check(self, link: Link) -> None:
        while True:
            answered = False
            try:
                answered = await link.check()
                self._warn_of_unknown(link)
            except Exception:  # go on: the next check may succeed
                _log.exception("connection not checked", connection=link.name)
            seconds = RETRY_SECONDS if not answered else CHECK_SECONDS if link.fault is None else FAULT_SECONDS
            link.suspect.clear()
            await asyncio.sleep(RETRY_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds - RETRY_SECONDS):
                    await link.suspect.wait()

    def _warn_of_unknown(self, link: Link) -> None:
        """A misspelt label is never written: say so, and go on, for the next bundle may have it."""
        unknown = unknown_names(link.connection, self._labels())
        if unknown and unknown != self._unknown.get(link.name):
            _log.warning("connection names what the bundle does not have", connection=link.name, names=unknown)
        self._unknown[link.name] = unknown

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
        removed = {name for name, depth in self._depths.items() if depth.open and name not in self.links}
        for name in sorted(removed - self._removed):
            waiting = self._depths[name].open
            _log.warning("writes wait for a connection that is not in the file", connection=name, waiting=waiting)
        self._removed = removed


def _read(path: Path) -> dict[str, Link]:
    """Raises: ConnectionsError"""
    return {name: Link(adapter_of(connection)) for name, connection in load_connections(path).items()}
