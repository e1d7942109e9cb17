"""What one worker process runs: the public application on a socket it was given, as its supervisor tells it.

`python -m service.process.worker NUMBER CONTROL PUBLIC`, the last two being file descriptors; `child.py` starts it.
When the supervisor is gone it drains and ends: no orphan keeps the port.
"""

import asyncio
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import structlog
import uvloop

from models.errors import TicketRouterError
from service.access.access import following
from service.app import App, create_app
from service.errors import NotReady, ReloadInterrupted, ReloadRunning, ServiceError
from service.logs import configure_logging
from service.process.control import (
    ASKS,
    Abort,
    Answer,
    Ask,
    Begin,
    Changed,
    Channel,
    Commit,
    Done,
    Drain,
    Failed,
    Listen,
    Loaded,
    Look,
    Order,
    Prepare,
    Reply,
    Report,
    Reported,
    open_channel,
)
from service.process.totals import share_counters
from service.server.malloc import return_large_pieces
from service.server.serve import serve_public

_log = structlog.get_logger()


class Worker:
    """Use from one event loop only."""

    def __init__(self, number: int, channel: Channel[Ask], public: socket.socket) -> None:
        self._number = number
        self._channel = channel
        self._public = public
        self._stop = asyncio.Event()
        self._app: App | None = None
        self._counters: Path | None = None
        self._serving: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Do as told until the end: the supervisor's word, its death, or SIGTERM."""
        structlog.contextvars.bind_contextvars(worker=self._number)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        hearing = asyncio.create_task(self._hear())
        await self._stop.wait()
        if self._serving is not None:
            await self._serving
        if self._app is not None:
            await self._app.stop()
        hearing.cancel()

    async def _hear(self) -> None:
        async with asyncio.TaskGroup() as answers:
            while (ask := await self._channel.receive()) is not None:
                answers.create_task(self._answer(ask))
            self._stop.set()
            if self._counters is not None:  # whose it was to remove is gone, as far as it is still there
                shutil.rmtree(self._counters, ignore_errors=True)

    async def _answer(self, ask: Ask) -> None:
        try:
            reply = await self._follow(ask.order)
        except (TicketRouterError, ServiceError) as error:
            reply = Failed(cause=str(error), busy=isinstance(error, NotReady | ReloadRunning | ReloadInterrupted))
        except Exception as error:
            _log.exception("order not followed", order=ask.order.kind)
            reply = Failed(busy=False, cause=f"{type(error).__name__} in worker {self._number}; its log says where")
        self._channel.send(Answer(id=ask.id, reply=reply))

    async def _follow(self, order: Order) -> Reply:
        match order:
            case Begin():
                return await self._begin(order)
            case Listen():
                return await self._listen()
            case Report():
                return await self._report()
            case Look(who=who):
                await self._begun().access.look(who)
            case Prepare(bundle=path):
                model = await self._begun().loader.prepare(path)
                return Loaded(version=model.version, variant=model.variant)
            case Commit():
                self._begun().loader.commit()
            case Abort():
                await self._begun().loader.abort()
            case Drain():
                self._stop.set()
        return Done()

    async def _begin(self, begin: Begin) -> Reply:
        configure_logging(begin.settings.log_level)
        self._counters = begin.metrics
        share_counters(begin.metrics, str(self._number))
        app = self._app = create_app(begin.settings)
        app.access.open()
        await app.start(begin.bundle, self._number)
        app.lifecycle.on_change = lambda: self._channel.send(Changed(not_ready=app.lifecycle.why_not_ready))
        model = app.router.engine.model
        return Loaded(version=model.version, variant=model.variant)

    async def _listen(self) -> Reply:
        listening = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(self._begun(), listening.set))
        self._serving.add_done_callback(lambda _done: listening.set())
        await listening.wait()
        if self._serving.done():
            await self._serving
        return Done()

    async def _serve(self, app: App, on_listening: Callable[[], None]) -> None:
        async with following(app.access):
            await serve_public(app, self._public, self._stop, on_listening, shared=True)

    async def _report(self) -> Reply:
        if self._app is None:
            return Reported(phase="starting", serving=None)
        status = await self._app.process.status()
        return Reported(phase=status.phase, serving=status.serving)

    def _begun(self) -> App:
        if self._app is None:
            raise NotReady("the worker has not begun")
        return self._app


def main(arguments: list[str]) -> None:
    return_large_pieces()
    # Both are meant for the supervisor, which tells its workers what to do; so is Ctrl-C.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(*map(int, arguments)))


async def _work(number: int, control: int, public: int) -> None:
    channel = await open_channel(socket.socket(fileno=control), ASKS)
    await Worker(number, channel, socket.socket(fileno=public)).run()


if __name__ == "__main__":
    main(sys.argv[1:])
