"""Opens bundles and gives them to the router: at start, at a reload, and again after a failed run.

A reload verifies, loads and replays the new bundle while the current one serves, and then replaces one reference.
`app.py` creates one `ModelReloader`; the management port and signals use it.
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
from service.lifecycle import NOT_READY_REASONS, Lifecycle
from service.metrics.batch_report import BatchReport
from service.metrics.metrics import Metrics
from service.routing.lease import Lease
from service.routing.router import Router
from service.settings import Settings

RELOAD_PAUSE_RATIO = 3.0
"""Seconds of pause per second of replaying: during a reload the cores are needed for tickets."""
REPAIR_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Delays between attempts to load a bundle again; the last one repeats."""
VERSION = re.compile(r"[0-9a-f]{16}")
MALFORMED_VERSION = "bundle must be a version id, 16 hexadecimal digits"

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
        self._loading = False
        self._stop = threading.Event()
        self._repair: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> Engine:
        """Open the first bundle and serve it.

        Raises:
            BundleError, DeviceError, PlanError: this bundle must not or cannot serve here.
        """
        engine = await self._open(self._bundle or self._settings.bundle, pause_ratio=0)
        release_free_memory()  # loading temporarily uses twice the memory
        self._router.use(engine)
        self._lifecycle.ready()
        return engine

    def locate(self, version: str | None) -> Path:
        """The folder of a version, beside the configured bundle; None: the configured bundle, resolved now.

        Raises:
            ReloadRefused: the version is malformed, or its folder does not exist.
        """
        bundle = self._settings.bundle
        try:
            configured = bundle.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            refusal = ReloadRefused(f"{bundle}: no bundle there; promote one first")
            if version is None:  # a mistyped version is the caller's fault: no bundle was refused
                self._record_refusal(refusal)
            raise refusal from error
        if version is None:
            return configured
        if not VERSION.fullmatch(version):
            raise ReloadRefused(MALFORMED_VERSION)
        folder = configured.parent / version
        if not folder.is_dir():
            raise ReloadRefused(f"{configured.parent}: holds no bundle {version}")
        return folder

    async def reload(self, path: Path) -> tuple[ModelIdentity, ModelIdentity]:
        """Verify, load and replay a bundle while the old one serves, then serve the new one. Returns the old and the
        new model, which are the same if the bundle is the one that serves: its folder is not read again.

        Raises:
            NotReady: the service is starting or stopping.
            ReloadRunning: another reload is in progress.
            ReloadRefused: this bundle must not or cannot serve here; the message says why.
        """
        if self._lifecycle.phase == "ready" and not self._loading:
            engine = self._router.engine
            # A folder that is named by its version always holds that version; another folder's content may differ.
            if path.name == engine.bundle.version and path == engine.bundle.path.resolve():
                _log.info("reload not needed", version=engine.model.version)
                self._lifecycle.record_unchanged()
                return engine.model, engine.model
        models = await self._replace(path, RELOAD_PAUSE_RATIO)
        self._metrics.count_reload("done")
        self._lifecycle.record_reload()
        return models

    def on_batch(self, report: BatchReport) -> None:
        self._metrics.record_batch(report)
        if report.error is not None:
            # Messages of onnxruntime name shapes and nodes, never text, so they may be logged.
            _log.error("model run failed", rows=report.rows, cause=str(report.error), exc_info=report.error)
            if self._repair is None or self._repair.done():
                # The run may have damaged its session: not ready until a new session has replayed the golden rows.
                self._lifecycle.set_fault("model", "a model run failed; its session is being replaced")
                self._repair = asyncio.ensure_future(self._replace_engine())

    def stop(self) -> None:
        """Stop the opening of a bundle and refuse reloads from now on."""
        self._stop.set()
        if self._repair is not None:
            self._repair.cancel()

    async def _replace(self, path: Path, pause_ratio: float) -> tuple[ModelIdentity, ModelIdentity]:
        if self._lifecycle.phase != "ready":
            raise NotReady(NOT_READY_REASONS[self._lifecycle.phase])
        if self._loading:
            raise ReloadRunning
        self._loading = True
        try:
            engine = await self._open(path, pause_ratio)
            if VERSION.fullmatch(path.name) and path.name != engine.bundle.version:
                # A reload by version must not serve another version that was put into its folder.
                raise BundleError(f"{path}: holds bundle {engine.bundle.version}; rename the folder")
        except OpeningStopped as error:
            raise NotReady(str(error)) from error
        except TicketRouterError as error:
            self._record_refusal(error)
            raise ReloadRefused(str(error)) from error
        finally:
            self._loading = False
        if self._lifecycle.phase != "ready":  # the stop signal arrived during the last step of loading
            await engine.close()
            raise NotReady(NOT_READY_REASONS["draining"])
        before = self._router.engine.model
        replaced = self._router.use(engine)
        if replaced is not None:
            task = asyncio.ensure_future(self.close_replaced(replaced))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        _log.info(
            "reloaded",
            version=engine.model.version,
            variant=engine.model.variant,
            graph=engine.graph.entry.file,
            before=before.version,
        )
        return before, engine.model

    async def _open(self, source: Bundle | Path, pause_ratio: float) -> Engine:
        try:
            with self._metrics.time_loading():
                return await asyncio.to_thread(
                    open_engine, self._settings, self.on_batch, source, pause_ratio=pause_ratio, stop=self._stop
                )
        except MemoryError as error:
            path = source if isinstance(source, Path) else source.path
            raise BundleError(f"{path}: there is not enough memory to load it; give the process more") from error

    def _record_refusal(self, error: Exception) -> None:
        self._metrics.count_reload("refused")
        self._lifecycle.record_reload(str(error))
        _log.error("reload refused", cause=str(error))

    async def _replace_engine(self) -> None:
        for wait in itertools.chain(REPAIR_SECONDS, itertools.repeat(REPAIR_SECONDS[-1])):
            try:
                await self._replace(self._router.engine.bundle.path, pause_ratio=0)
                break
            except Exception as error:  # of any class: a service that is not ready must keep trying
                _log.error("session not replaced", cause=str(error) if isinstance(error, ServiceError) else None)
                await asyncio.sleep(wait)
        self._metrics.count_reload("repaired")
        self._lifecycle.record_reload()
        self._lifecycle.clear_fault("model")

    async def close_replaced(self, lease: Lease[Engine]) -> None:
        """Close a replaced engine after the last request that uses it, and return its memory."""
        await self._router.close_replaced(lease)
        del lease  # the last reference to the engine
        release_free_memory()


def release_free_memory() -> None:
    """Return freed memory to the system: otherwise the allocator keeps the hundred megabytes of a closed model."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # not glibc: other C libraries return memory in their own way
        return
