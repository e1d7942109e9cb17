"""Reloads that nobody asks for over HTTP: on SIGHUP, and when the configured bundle comes to point elsewhere.

SIGHUP has the keys looked at as well; `access/watching.py` does that by itself, but not at once.

`server.py` has them for one process, `workers.py` for several; what a reload is, `Managed` knows.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import structlog

from service.access.audit import SIGNAL, WATCH
from service.admin.routes import Managed, audited_reload
from service.errors import NotReady, ReloadInterrupted, ReloadRunning, ServiceError
from service.settings import Settings

LookAtKeys = Callable[[str], Awaitable[None]]
"""In the name of whom, for the audit log."""

_log = structlog.get_logger()


@contextlib.asynccontextmanager
async def reloading(managed: Managed, look: LookAtKeys, settings: Settings) -> AsyncIterator[None]:
    """Inside, SIGHUP has the keys looked at and reloads the model. Where `watch_seconds` is set, a new target of
    `settings.bundle` reloads it too."""
    hangup = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    tasks = [asyncio.create_task(_on(hangup, managed, look))]
    if settings.watch_seconds is not None:
        tasks.append(asyncio.create_task(_watch(managed, settings.bundle, settings.watch_seconds)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def _on(hangup: asyncio.Event, managed: Managed, look: LookAtKeys) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        await look(SIGNAL)
        await _reload(managed, SIGNAL)


async def _watch(managed: Managed, bundle: Path, seconds: float) -> None:
    """A refused bundle is not tried again until the pointer moves: it would be refused again."""
    seen = _target(bundle)
    while True:
        await asyncio.sleep(seconds)
        now = _target(bundle)
        if now not in (seen, None) and await _reload(managed, WATCH):
            seen = now


async def _reload(managed: Managed, who: str) -> bool:
    """False when it was not the time for it, and it should be tried again."""
    try:
        await audited_reload(managed, None, who)
    except ServiceError as error:
        _log.error("not reloaded", cause=str(error))
        return not isinstance(error, NotReady | ReloadRunning | ReloadInterrupted)
    return True


def _target(bundle: Path) -> Path | None:
    """Where it points now; None in the moment between two pointers, and where there is nothing."""
    with contextlib.suppress(OSError, RuntimeError):
        return bundle.resolve(strict=True)
    return None
