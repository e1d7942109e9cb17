"""One worker process as its supervisor sees it: started, asked, watched, ended.

`workers.py` has several; `worker.py` is what runs over there.
"""

import asyncio
import contextlib
import itertools
import signal
import socket
import sys
from pathlib import Path
from typing import Literal

import structlog

from models.errors import TicketRouterError
from service.process.control import (
    ANSWERS,
    Answer,
    Ask,
    Changed,
    Channel,
    Drain,
    Failed,
    Listen,
    Order,
    Reply,
    Report,
    open_channel,
)

BEAT_SECONDS = 10.0
"""How often a worker is asked whether it still hears, and how long it has for its answer."""
MISSED_BEATS = 3
"""Silent this often in a row, it hangs and is killed. More than one: a machine may have stood still, and wakes up."""

State = Literal["starting", "ready", "gone"]

_log = structlog.get_logger()


class WorkerFailed(TicketRouterError):
    """A worker could not do what it was asked; the message is its own."""


class WorkerGone(WorkerFailed):
    """It ended before it answered."""


class WorkerBusy(WorkerFailed):
    """It is not the time: it may be asked again."""


class Child:
    """Use from one event loop only. `bundle` is the folder it serves or is to serve."""

    def __init__(
        self, number: int, bundle: Path, process: asyncio.subprocess.Process, channel: Channel[Answer | Changed]
    ) -> None:
        self.number = number
        self.bundle = bundle
        self.not_ready: str | None = None
        self._process = process
        self._channel = channel
        self._listening = False
        self._gone = False
        self._ids = itertools.count()
        self._asked: dict[int, asyncio.Future[Reply | None]] = {}
        self._tasks = [asyncio.create_task(self._hear())]

    @classmethod
    async def start(cls, number: int, bundle: Path, public: socket.socket) -> "Child":
        """Start the process. It shares the public socket and waits to be told what to do.

        Raises:
            OSError: the system has no room for one more.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            ends = (theirs.fileno(), public.fileno())
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "service.process.worker", *map(str, (number, *ends))),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=ends,
                # Out of the terminal's reach: Ctrl-C is the supervisor's, and it drains the workers.
                start_new_session=True,
            )
        return cls(number, bundle, process, await open_channel(ours, ANSWERS))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def state(self) -> State:
        if self._gone:
            return "gone"
        return "ready" if self._listening else "starting"

    async def ask(self, order: Order, seconds: float | None = None) -> Reply:
        """Its answer.

        Raises:
            WorkerGone: it ended first.
            WorkerFailed: it could not.
            TimeoutError: it did not answer in time.
        """
        reply = None if self._gone else await self._answer(order, seconds)
        if reply is None:
            raise WorkerGone(f"worker {self.number} ended before it answered ({await self.ended()})")
        if isinstance(reply, Failed):
            raise (WorkerBusy if reply.busy else WorkerFailed)(reply.cause)
        return reply

    async def listen(self) -> None:
        """Have it accept, and watch over it from now on.

        Raises:
            WorkerFailed: as `ask`.
        """
        await self.ask(Listen())
        self._listening = True
        self._tasks.append(asyncio.create_task(self._watch()))

    async def ended(self) -> str:
        """Wait for its end; how it came."""
        status = await self._process.wait()
        return f"exit status {status}" if status >= 0 else signal.Signals(-status).name

    def drain(self) -> None:
        """It answers what it accepted and ends; one that accepts nothing yet just ends."""
        if self._listening:
            self._channel.send(Ask(id=next(self._ids), order=Drain()))
        else:
            self.kill()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _answer(self, order: Order, seconds: float | None) -> Reply | None:
        number = next(self._ids)
        answer: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self._channel.send(Ask(id=number, order=order))
            async with asyncio.timeout(seconds):
                return await answer
        finally:
            del self._asked[number]

    async def _hear(self) -> None:
        while (message := await self._channel.receive()) is not None:
            if isinstance(message, Changed):
                self.not_ready = message.not_ready
            elif message.id in self._asked:  # nobody waits any more for an answer that came too late
                self._settle(message.id, message.reply)
        self._gone = True
        self._channel.close()
        for number in self._asked:
            self._settle(number, None)

    def _settle(self, number: int, reply: Reply | None) -> None:
        if not self._asked[number].done():
            self._asked[number].set_result(reply)

    async def _watch(self) -> None:
        """Kill it when it hangs: its supervisor is the only one who can tell."""
        missed = 0
        while missed < MISSED_BEATS and not self._gone:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.ask(Report(), BEAT_SECONDS)
                missed = 0
            except TimeoutError:
                missed += 1
            except WorkerFailed:
                return
        _log.error("worker hangs", number=self.number, pid=self.pid)
        self.kill()
