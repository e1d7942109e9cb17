"""Several processes on one port: a supervisor that serves none of it, starts them, and keeps them all alike.

It holds the public socket open for all, answers the management port for all as one, replaces a worker that dies, and
lets a new bundle in only where all of them can serve it. `child.py` is one worker seen from here.
"""

import asyncio
import contextlib
import itertools
import socket
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import structlog
from prometheus_client import Counter, generate_latest

from models.errors import TicketRouterError
from service.access.access import following
from service.admin.gauges import ServingGauges, StateGauges
from service.api.convert import last_reload_out
from service.api.schemas import ReloadOut, ServingOut, StatusOut, WorkerOut
from service.app import App, create_app, management_app
from service.errors import NotReady, ReloadInterrupted, ReloadRefused, ReloadRunning
from service.metrics.metrics import PREFIX
from service.process.child import Child, State, WorkerFailed
from service.process.control import Begin, Loaded, Look, Order, Reply, Report, Reported
from service.process.share import share_of
from service.process.together import commit_all, prepare_all
from service.process.totals import share_counters, totals
from service.server.reload_triggers import reloading
from service.server.serve import management_server, running, started, stop_signal
from service.server.sockets import let_nobody_in, listen
from service.settings import Settings

RESTART_SECONDS = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits before a worker that keeps dying is started again; the last one repeats."""
STEADY_SECONDS = 60.0
"""Alive this long, a worker counts as sound: its next death is a first one again."""
REPORT_SECONDS = 2.0
DRAIN_SLACK_SECONDS = 3.0
"""Workers end by their own drain time; this much later they are ended."""

_log = structlog.get_logger()


class WorkersError(TicketRouterError):
    """Several processes cannot be had here."""


async def serve_with_workers(settings: Settings, public: socket.socket, management: socket.socket) -> None:
    """Serve with `settings.workers` processes until SIGTERM or SIGINT, then drain them all.

    Raises:
        TicketRouterError: they cannot start; the message says why, once for all of them.
    """
    shared = share_of(settings)
    stop = stop_signal()
    with _folder() as folder:
        share_counters(folder, "supervisor")
        app = create_app(shared)
        app.access.open()
        workers = Workers(app, public, folder)
        watch = management_server(management_app(app.document, workers, app.access, app.bodies))
        try:
            async with (
                following(app.access),
                reloading(workers, workers.look, settings),
                running(watch, management, stop),
            ):
                if await started(workers.start(), stop):
                    ports = {"port": public.getsockname()[1], "management_port": management.getsockname()[1]}
                    _log.info("listening", workers=settings.workers, **ports)
                    await stop.wait()
                    await workers.drain()
        finally:
            await workers.kill()


class Workers:
    """What the management port manages. `app` is never started here: its documents, metrics and phase are used.

    Use from one event loop only.
    """

    def __init__(self, app: App, public: socket.socket, folder: Path) -> None:
        self._app = app
        self._settings = app.settings
        self._bundle = app.settings.bundle
        self._lifecycle = app.lifecycle
        self._public = public
        self._folder = folder
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._model: Loaded | None = None
        self._reloading = False
        self._serving: Sequence[ServingOut] = ()
        self._restarts = Counter(f"{PREFIX}_worker_restarts_total", "Workers that were replaced.", registry=None)
        gauges = (
            ServingGauges(lambda: self._serving),
            StateGauges(self._lifecycle, self.why_not_ready),
            *app.access.gauges,
        )
        self._registry = totals(folder, self._pids, self._states, gauges)

    async def start(self) -> None:
        """Start all, and let them accept when all are ready.

        Raises:
            TicketRouterError: what the first that cannot serve says.
        """
        with contextlib.suppress(OSError, RuntimeError):  # a path that leads nowhere: the workers say so
            self._bundle = self._bundle.resolve()  # once: all open the same, though `current` may move
        for number in range(1, self._settings.workers + 1):
            self._children.append(await Child.start(number, self._bundle, self._public))
        self._model, *_ = await asyncio.gather(*(self._begin(child) for child in self._children))
        listen(self._public)
        await asyncio.gather(*(child.listen() for child in self._children))
        self._keepers = [asyncio.create_task(self._keep(place)) for place in range(len(self._children))]
        self._lifecycle.ready()

    async def drain(self) -> None:
        """Close the port, let every worker answer what it has accepted, and wait for all of them."""
        self._lifecycle.drain()
        self._dismiss_keepers()
        await let_nobody_in(self._public)
        self._public.close()
        for child in self._children:
            child.drain()
        ends = [asyncio.create_task(child.ended()) for child in self._children]
        await asyncio.wait(ends, timeout=self._settings.drain_seconds + DRAIN_SLACK_SECONDS)

    async def kill(self) -> None:
        """End what is still there. Harmless when nothing is."""
        self._dismiss_keepers()
        for child in self._children:
            child.kill()
        for child in self._children:
            await child.ended()

    def started(self) -> bool:
        return self._lifecycle.phase != "starting"

    def why_not_ready(self) -> str | None:
        """Ready only while all serve: half the workers is half of what was promised."""
        if (why := self._lifecycle.why_not_ready) is not None:
            return why
        missing = self._states()["starting"] + self._states()["gone"]
        if missing:
            return f"{missing} of {self._settings.workers} workers {'is' if missing == 1 else 'are'} being replaced"
        return next((child.not_ready for child in self._children if child.not_ready), None)

    async def metrics(self) -> bytes:
        self._serving = [report.serving for report in await self._reports() if report.serving]
        return generate_latest(self._registry)

    async def status(self) -> StatusOut:
        reports = await self._reports()
        return StatusOut(
            phase=self._lifecycle.phase,
            not_ready=self.why_not_ready(),
            uptime_seconds=round(self._lifecycle.uptime_seconds, 3),
            last_reload=last_reload_out(self._lifecycle.last_reload),
            serving=_together([report.serving for report in reports if report.serving]),
            workers=tuple(
                WorkerOut(pid=child.pid, phase=report.phase, serving=report.serving)
                for child, report in zip(self._children, reports, strict=True)
                if child.state != "gone"
            ),
        )

    async def reload(self, version: str | None) -> ReloadOut:
        """All of them or none, as `together.py` has it."""
        before = self._model
        if self._lifecycle.phase != "ready" or before is None:
            raise NotReady("the workers do not serve now")
        if self._reloading:
            raise ReloadRunning
        self._reloading = True
        try:
            now = await self._swap(self._app.loader.locate(version))
        finally:
            self._reloading = False
        return ReloadOut(version=now.version, variant=now.variant, previous=before.version)

    async def look(self, who: str) -> None:
        """Have every process look at the keys now. One that cannot be asked looks by itself, within seconds."""
        await self._app.access.look(who)
        await asyncio.gather(*(self._asked(child, Look(who=who)) for child in self._children))

    async def _swap(self, path: Path) -> Loaded:
        children = [child for child in self._children if child.state == "ready"]
        try:
            model = await prepare_all(children, path)
        except ReloadRefused as error:
            if isinstance(error, ReloadInterrupted):  # what a worker refuses it has counted itself
                self._app.metrics.reloaded("refused")
            self._lifecycle.reloaded(str(error))
            raise
        # Decided: whoever dies from here on comes back with the new bundle.
        self._bundle, self._model = path, model
        await commit_all(children, path)
        for child in self._children:
            if child.bundle != path:  # it was not there to be asked
                child.drain()
        self._app.metrics.reloaded("done")
        self._lifecycle.reloaded()
        _log.info("reloaded by all", version=model.version, workers=len(children))
        return model

    async def _keep(self, place: int) -> None:
        """Replace the worker in a place whenever it ends."""
        pauses = itertools.chain(RESTART_SECONDS, itertools.repeat(RESTART_SECONDS[-1]))
        while True:
            child, since = self._children[place], time.monotonic()
            how = await child.ended()
            _log.error("worker ended", number=child.number, pid=child.pid, how=how)
            if time.monotonic() - since > STEADY_SECONDS:
                pauses = itertools.chain(RESTART_SECONDS, itertools.repeat(RESTART_SECONDS[-1]))
            await asyncio.sleep(next(pauses))
            self._restarts.inc()
            await self._replace(place)

    async def _replace(self, place: int) -> None:
        number = self._children[place].number
        try:
            child = self._children[place] = await Child.start(number, self._bundle, self._public)
            await self._begin(child)
            if child.bundle == self._bundle:
                await child.listen()
            else:  # a reload came in between
                child.kill()
        except (WorkerFailed, OSError) as error:
            _log.error("worker not replaced", number=number, cause=str(error))
            self._children[place].kill()

    async def _begin(self, child: Child) -> Loaded:
        order = Begin(settings=self._settings, bundle=child.bundle, metrics=self._folder)
        return _loaded(await child.ask(order))

    def _dismiss_keepers(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()

    def _pids(self) -> list[int]:
        return [child.pid for child in self._children if child.state != "gone"]

    def _states(self) -> dict[State, int]:
        tally = Tally(child.state for child in self._children)
        return {state: tally[state] for state in get_args(State)}

    async def _reports(self) -> list[Reported]:
        return await asyncio.gather(*(self._report(child) for child in self._children))

    async def _report(self, child: Child) -> Reported:
        reply = await self._asked(child, Report())
        return reply if isinstance(reply, Reported) else Reported(phase="starting", serving=None)

    async def _asked(self, child: Child, order: Order) -> Reply | None:
        """Its answer, if it gives one soon."""
        try:
            return await child.ask(order, REPORT_SECONDS)
        except (WorkerFailed, TimeoutError):
            return None


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Where the counters are shared, for as long as the service runs."""
    try:
        made = tempfile.TemporaryDirectory(prefix="ticket-router-", ignore_cleanup_errors=True)
    except OSError as error:
        raise WorkersError(
            f"--workers needs a folder for temporary files ({error.strerror}); mount one at /tmp or set TMPDIR"
        ) from error
    with made as name:
        yield Path(name)


def _loaded(reply: object) -> Loaded:
    assert isinstance(reply, Loaded)
    return reply


def _together(serving: Sequence[ServingOut]) -> ServingOut | None:
    """The first, which all are like, with the queues of all."""
    if not serving:
        return None
    names = ("queue_depth", "queue_tokens", "queue_tokens_limit", "cache_entries")
    return serving[0].model_copy(update={name: sum(getattr(each, name) for each in serving) for name in names})
