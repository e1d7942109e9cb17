"""Opens bundles and hands them to the router: at start, at a reload, and anew after a run has failed.

A reload verifies, loads and replays the new bundle beside the one that serves, and then swaps one reference. `app.py`
makes one `ModelReloader`; the management port and signals use it.
"""

import asyncio
import ctypes
import gc
import itertools
import re
import threading
from pathlib import Path

import structlog

from models.bundle.bundle import Bundle
from models.errors import BundleError, TicketRouterError
from service.decision import ModelIdentity
from service.errors import NotReady, ReloadRefused, ReloadRunning, ServiceError
from service.inference.engine import Engine, OpeningStopped, open_engine
from service.lifecycle import WHY_NOT_READY, Lifecycle
from service.metrics.batch_report import BatchReport
from service.metrics.metrics import Metrics
from service.routing.router import EngineLease, Router
from service.settings import Settings

IDLE_AT_RELOAD = 3.0
"""Seconds of rest per second of replaying: beside a service under load, the cores are the tickets'."""
REPAIR_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits after failed attempts to load a bundle anew; the last one repeats."""
_VERSION = re.compile(r"[0-9a-f]{16}")

_log = structlog.get_logger()


class ModelReloader:
    """Use from one event loop only."""

    def __init__(
        self, settings: Settings, router: Router, metrics: Metrics, lifecycle: Lifecycle, bundle: Bundle | None
    ) -> None:
        self._settings = settings
        self._router = router
        self._metrics = metrics
        self._lifecycle = lifecycle
        self._bundle = bundle
        self._busy = False
        self._stop = threading.Event()
        self._repair: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> Engine:
        """Open the first bundle and serve it.

        Raises:
            BundleError, DeviceError, PlanError: this bundle must not or cannot serve here.
        """
        engine = await self._open(self._bundle or self._settings.bundle, idle=0)
        give_memory_back()  # loading used twice as much for a moment
        self._router.use(engine)
        self._lifecycle.ready()
        return engine

    def locate(self, version: str | None) -> Path:
        """The folder of a bundle by its version, beside the one configured; None: the one configured, as it is now.

        Raises:
            ReloadRefused: that is no version, or no such folder is there.
        """
        try:
            return _located(self._settings.bundle, version)
        except ReloadRefused as error:
            self._refused(error)
            raise

    async def reload(self, path: Path) -> tuple[ModelIdentity, ModelIdentity]:
        """Verify, load and replay a bundle while the old one serves, then serve the new one. Returns the old and the
        new model.

        Raises:
            NotReady: no model is served yet, or the service is stopping.
            ReloadRunning: another reload is under way.
            ReloadRefused: this bundle must not or cannot serve here; the message says why.
        """
        models = await self._replace(path, IDLE_AT_RELOAD)
        self._metrics.reloaded("done")
        self._lifecycle.reloaded()
        return models

    def on_batch(self, report: BatchReport) -> None:
        self._metrics.batch(report)
        if report.error is not None:
            # onnxruntime speaks of shapes and nodes, never of text, so its message may be logged.
            _log.error("model run failed", rows=report.rows, cause=str(report.error), exc_info=report.error)
            self._start_repair()

    def stop(self) -> None:
        """Give up what is being opened: from now on nothing is loaded any more."""
        self._stop.set()
        if self._repair is not None:
            self._repair.cancel()

    async def _replace(self, path: Path, idle: float) -> tuple[ModelIdentity, ModelIdentity]:
        self._refuse_unless_ready()
        if self._busy:
            raise ReloadRunning
        self._busy = True
        try:
            engine = await self._open(path, idle)
            _refuse_misnamed(engine, path)
        except OpeningStopped as error:
            raise NotReady(str(error)) from error
        except TicketRouterError as error:
            self._refused(error)
            raise ReloadRefused(str(error)) from error
        finally:
            self._busy = False
        if self._lifecycle.phase != "ready":  # the signal to stop came during the last step of the loading
            await engine.close()
            raise NotReady(WHY_NOT_READY["draining"])
        before = self._router.engine.model
        self._retire(self._router.use(engine))
        _log.info("reloaded", version=engine.model.version, variant=engine.model.variant, before=before.version)
        return before, engine.model

    async def _open(self, bundle: Bundle | Path, idle: float) -> Engine:
        try:
            with self._metrics.loading():
                return await asyncio.to_thread(
                    open_engine, self._settings, self.on_batch, bundle, idle=idle, stop=self._stop
                )
        except MemoryError as error:
            name = bundle if isinstance(bundle, Path) else bundle.path
            raise BundleError(f"{name}: there is not enough memory to load it; give the process more") from error

    def _refuse_unless_ready(self) -> None:
        if self._lifecycle.phase != "ready":
            raise NotReady(WHY_NOT_READY[self._lifecycle.phase])

    def _refused(self, error: Exception) -> None:
        self._metrics.reloaded("refused")
        self._lifecycle.reloaded(str(error))
        _log.error("reload refused", cause=str(error))

    def _retire(self, served: EngineLease | None) -> None:
        if served is not None:
            task = asyncio.ensure_future(self._let_go(served))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    def _start_repair(self) -> None:
        """After a failed run nobody knows what state its session is in: not ready until a new one has replayed."""
        if self._repair is None or self._repair.done():
            self._lifecycle.fault("a model run failed; its session is being replaced")
            self._repair = asyncio.ensure_future(self._replace_engine())

    async def _replace_engine(self) -> None:
        for wait in itertools.chain(REPAIR_SECONDS, itertools.repeat(REPAIR_SECONDS[-1])):
            try:
                await self._replace(self._router.engine.bundle.path, idle=0)
                break
            except Exception as error:  # whatever it was: a service that is not ready must go on trying
                _log.error("session not replaced", cause=str(error) if isinstance(error, ServiceError) else None)
                await asyncio.sleep(wait)
        self._metrics.reloaded("repaired")
        self._lifecycle.reloaded()
        self._lifecycle.healed()

    async def _let_go(self, served: EngineLease) -> None:
        await self._router.let_go(served)
        del served
        give_memory_back()


def _located(bundle: Path, version: str | None) -> Path:
    try:
        configured = bundle.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ReloadRefused(f"{bundle}: no bundle there; promote one first") from error
    if version is None:
        return configured
    if not _VERSION.fullmatch(version):
        raise ReloadRefused("bundle must be a version id, 16 hexadecimal digits")
    folder = configured.parent / version
    if not folder.is_dir():
        raise ReloadRefused(f"{configured.parent}: holds no bundle {version}")
    return folder


def _refuse_misnamed(engine: Engine, path: Path) -> None:
    """Who asks for a version by its folder must not get another that was put there."""
    if _VERSION.fullmatch(path.name) and path.name != engine.bundle.version:
        raise BundleError(f"{path}: holds bundle {engine.bundle.version}; rename the folder")


def give_memory_back() -> None:
    """Return freed memory to the system: the allocator keeps a gone model's hundred megabytes otherwise."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # another C library than glibc: it has its own ways
        return
