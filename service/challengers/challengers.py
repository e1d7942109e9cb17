"""`Challengers`: loads what the record says is in force beside the serving bundle, and ends what is not.

Each process reads the table every `POLL_SECONDS`. While the database is away, what was in force stays. A bundle that
cannot be loaded fails by itself: neither the start nor the serving bundle waits for it.
"""

import asyncio
import contextlib
import itertools
import math
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from models.bundle.bundle import Bundle
from models.errors import TicketRouterError
from service.access.audit import WATCH
from service.challengers.check import check, check_labels
from service.challengers.metrics import ChallengerMetrics
from service.challengers.shadow import Shadow, ShadowEnded
from service.challengers.table import ROLES, Entry, ShadowVerdict, enter, in_force, insert_verdicts, withdraw
from service.errors import ChallengerRefused, RecordsUnavailable, ReloadRefused, ServiceError
from service.inference.engine import OpeningStopped, open_engine
from service.inference.hardware import usable_cores
from service.inference.onnx_session import CPU
from service.lifecycle import ChallengerRole as Role
from service.lifecycle import ChallengerState as State
from service.lifecycle import ChallengerStatus, end, repeat
from service.metrics.batch_report import BatchReport
from service.metrics.metrics import Metrics
from service.records.database.schema import milliseconds_of
from service.records.records import Records
from service.routing.canary import MAX_FAILURES, Canary
from service.routing.reload import (
    MALFORMED_VERSION,
    RELOAD_PAUSE_RATIO,
    VERSION,
    ModelReloader,
    release_free_memory,
)
from service.routing.router import Router
from service.settings import Settings

POLL_SECONDS = 2.0
RETRY_SECONDS = (30.0, 120.0, 600.0, 3600.0)
"""Delays between attempts to load a bundle; the last one repeats. It may still be on its way to this machine."""
SETTLE_SECONDS = 2.0
"""Age of a verdict before it is written: its decision must be on record first."""
VERDICTS = 200
"""Verdicts of one transaction, some 2 ms: decisions wait for the same connection."""
PAUSE_SECONDS = 0.05
MAX_VERDICTS = 5_000
"""That wait for the database."""
PROMOTED = "it serves now"

_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Challenger:
    """A bundle beside the serving one, on this process. `cause`: why it failed."""

    entry: Entry
    state: State = "loading"
    cause: str | None = None
    variant: str | None = None
    bundle: Bundle | None = None
    shadow: Shadow | None = None
    failures: int = 0
    retry_at: float = math.inf
    stop: threading.Event = field(default_factory=threading.Event)
    task: "asyncio.Task[None] | None" = None
    """Loads it, and runs a shadow."""


class Challengers:
    """Use from one event loop only."""

    def __init__(
        self,
        settings: Settings,
        router: Router,
        reloader: ModelReloader,
        records: Records,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._router = router
        self._reloader = reloader
        self._records = records
        self._service_metrics = metrics
        self._metrics = ChallengerMetrics(metrics.registry, self.status)
        self._cores = usable_cores()
        self._current: dict[Role, Challenger] = {}
        self._lock = asyncio.Lock()
        self._poll: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._verdicts: deque[tuple[float, ShadowVerdict]] = deque()

    def status(self) -> list[ChallengerStatus]:
        """The shadow and the canary, if there are any."""
        return [
            ChallengerStatus(
                role,
                entry.bundle,
                entry.share,
                each.state,
                each.cause,
                each.variant,
                milliseconds_of(entry.id),
                entry.who,
                entry.why,
            )
            for role, each in self._current.items()
            for entry in (each.entry,)
        ]

    def start(self) -> None:
        """Follow the record from now on. Call it when the serving bundle serves."""
        self._poll = asyncio.create_task(repeat(self._follow, POLL_SECONDS, "challengers not read"))

    def drain(self) -> None:
        """Stop the loading of bundles."""
        for each in self._current.values():
            each.stop.set()

    async def stop(self) -> None:
        """End all, and write the verdicts that are there. No effect if it was not started."""
        if self._poll is None:
            return
        await end(self._poll)
        for role in ROLES:
            await self._end(role)
        with contextlib.suppress(RecordsUnavailable):
            await self._write_verdicts(older_than=0.0)

    async def put(self, role: Role, version: str | None, share: float, who: str, why: str) -> None:
        """Put a bundle in force in this role, or withdraw what is: share 0. On record, and here at once.

        Raises:
            ChallengerRefused: the bundle cannot be put beside the serving one.
            NotReady: there is no serving bundle yet.
            RecordsUnavailable: the database is away.
        """
        champion = self._router.engine
        if version is not None and not VERSION.fullmatch(version):
            raise ChallengerRefused(MALFORMED_VERSION)
        if share > 0:
            if version is None:
                raise ChallengerRefused("name the bundle: its version id, 16 hexadecimal digits")
            folder = self._locate(version)
            await asyncio.to_thread(check, self._settings, champion, folder, role)
        await self._records.write(partial(enter, role=role, bundle=version, share=share, who=who, why=why))
        await self._read()

    def _locate(self, version: str) -> Path:
        try:
            return self._reloader.locate(version)
        except ReloadRefused as error:
            raise ChallengerRefused(str(error)) from error

    async def _follow(self) -> None:
        await self._read()
        await self._write_verdicts()

    async def _read(self) -> None:
        async with self._lock:  # in the order of the reads
            wanted = await self._records.read(in_force)
            for role in ROLES:
                await self._apply(role, wanted.get(role))

    async def _apply(self, role: Role, wanted: Entry | None) -> None:
        current = self._current.get(role)
        champion = self._router.engine
        if wanted is not None and wanted.bundle == champion.model.version:
            await self._records.write(partial(withdraw, entry=wanted, who=WATCH, why=PROMOTED))
            _log.info("challenger serves", role=role, version=wanted.bundle)
            wanted = None
        if current is not None and (wanted is None or wanted.bundle != current.entry.bundle):
            await self._end(role)
            current = None
        if wanted is None:
            return
        if current is None:
            self._load(wanted)
        elif current.state == "failed":
            if wanted.id != current.entry.id or time.monotonic() >= current.retry_at:
                failures = current.failures if wanted.id == current.entry.id else 0
                await self._end(role)
                self._load(wanted, failures)
        else:
            current.entry = wanted
            if current.shadow is not None:
                current.shadow.share = wanted.share
            if role == "canary" and self._router.canary is not None:
                self._router.canary.share = wanted.share
            if current.bundle is not None:
                try:
                    check_labels(champion, current.bundle)  # another bundle may serve since
                except ChallengerRefused as error:
                    await self._end_work(current)
                    self._fail(current, str(error))

    def _load(self, entry: Entry, failures: int = 0) -> None:
        challenger = self._current[entry.role] = Challenger(entry, failures=failures)
        challenger.task = asyncio.create_task(self._work(challenger))

    async def _work(self, challenger: Challenger) -> None:
        """Load the bundle and use it; with a shadow, until it ends."""
        role, version = challenger.entry.role, challenger.entry.bundle
        try:
            folder = self._locate(version)
            challenger.bundle = await asyncio.to_thread(check, self._settings, self._router.engine, folder, role)
            if role == "shadow":
                await self._run_shadow(challenger, challenger.bundle)
            else:
                await self._use_canary(challenger, challenger.bundle)
        except OpeningStopped:
            return
        except MemoryError:
            self._fail(challenger, "there is not enough memory to load it")
        except (ServiceError, TicketRouterError, ShadowEnded) as error:
            self._fail(challenger, str(error))
        except Exception as error:  # of any class: the service does not depend on it
            _log.exception("challenger failed unexpectedly", role=role)
            self._fail(challenger, f"an unexpected error ({type(error).__name__})")

    async def _run_shadow(self, challenger: Challenger, bundle: Bundle) -> None:
        shadow = Shadow(challenger.entry.share, self._metrics, self._has_free_core, partial(self._keep, challenger))
        try:
            challenger.variant = await shadow.open(self._settings, bundle.path)
            self._metrics.create_series(scoring.field for scoring in bundle.graphs[0].scorings)
            challenger.shadow, self._router.offer_to_shadow = shadow, shadow.offer
            self._running(challenger)
            await shadow.run()
        finally:
            challenger.shadow = self._router.offer_to_shadow = None
            await shadow.close()

    async def _use_canary(self, challenger: Challenger, bundle: Bundle) -> None:
        engine = await asyncio.to_thread(
            open_engine,
            self._settings,
            self._on_canary_batch,
            bundle,
            pause_ratio=RELOAD_PAUSE_RATIO,
            stop=challenger.stop,
        )
        release_free_memory()
        challenger.variant = engine.model.variant
        cause = f"{MAX_FAILURES} tickets in a row failed"
        give_up = partial(self._fail, challenger, cause, retry=False)
        self._router.use_canary(Canary(engine, challenger.entry.share, self._metrics.count_canary, give_up))
        self._running(challenger)

    def _running(self, challenger: Challenger) -> None:
        challenger.state = "running"
        entry = challenger.entry
        _log.info(
            "challenger runs", role=entry.role, version=entry.bundle, variant=challenger.variant, share=entry.share
        )

    def _fail(self, challenger: Challenger, cause: str, *, retry: bool = True) -> None:
        """`retry`: load it again after a time; otherwise only when a person puts it in force again."""
        if challenger.entry.role == "canary":
            self._drop_canary()
        challenger.state, challenger.cause = "failed", cause
        if retry:
            wait = RETRY_SECONDS[min(challenger.failures, len(RETRY_SECONDS) - 1)]
            challenger.retry_at = time.monotonic() + wait
        challenger.failures += 1
        _log.error("challenger failed", role=challenger.entry.role, version=challenger.entry.bundle, cause=cause)

    async def _end(self, role: Role) -> None:
        challenger = self._current.pop(role, None)
        if challenger is None:
            return
        await self._end_work(challenger)
        if role == "canary":
            self._drop_canary()
        _log.info("challenger ended", role=role, version=challenger.entry.bundle)

    async def _end_work(self, challenger: Challenger) -> None:
        challenger.stop.set()
        if challenger.task is not None:
            await end(challenger.task)

    def _drop_canary(self) -> None:
        lease = self._router.use_canary(None)
        if lease is not None:
            task = asyncio.ensure_future(self._reloader.close_replaced(lease))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _on_canary_batch(self, report: BatchReport) -> None:
        self._service_metrics.record_batch(report)
        if report.error is not None:
            _log.error("canary run failed", rows=report.rows, cause=str(report.error), exc_info=report.error)

    def _has_free_core(self) -> bool:
        canary = self._router.canary
        engines = [self._router.engine, *([] if canary is None else [canary.engine])]
        if engines[0].provider != CPU:
            return not any(engine.batcher.running for engine in engines)
        return sum(engine.busy_threads for engine in engines) < self._cores

    def _keep(self, challenger: Challenger, verdicts: list[tuple[str, str]]) -> None:
        version, variant, now = challenger.entry.bundle, challenger.variant or "", time.monotonic()
        room = max(0, MAX_VERDICTS - len(self._verdicts))
        self._verdicts.extend((now, ShadowVerdict(each, version, variant, fields)) for each, fields in verdicts[:room])
        self._metrics.count("unrecorded", len(verdicts[room:]))

    async def _write_verdicts(self, older_than: float = SETTLE_SECONDS) -> None:
        latest = time.monotonic() - older_than
        while self._verdicts and self._verdicts[0][0] <= latest:
            portion = list(itertools.islice(self._verdicts, VERDICTS))
            stored = await self._records.write(partial(insert_verdicts, verdicts=[verdict for _, verdict in portion]))
            for _ in portion:
                self._verdicts.popleft()
            self._metrics.count("unrecorded", len(portion) - stored)
            await asyncio.sleep(PAUSE_SECONDS)
