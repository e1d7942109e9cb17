"""Reloads that nobody asks for over HTTP: on SIGHUP, and when the configured bundle comes to point elsewhere.

SIGHUP also reads the keys file again at once; `access/watching.py` reads it only every few seconds.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from service.access.access import Access
from service.access.audit import SIGNAL, WATCH
from service.admin.service import AdminService
from service.errors import NotReady, ReloadRunning, ServiceError
from service.settings import Settings

_log = structlog.get_logger()


@contextlib.asynccontextmanager
async def reloading(admin: AdminService, access: Access, settings: Settings) -> AsyncIterator[None]:
    """Inside, SIGHUP reads the keys file again and reloads the model. Where `watch_seconds` is set, a new target of
    `settings.bundle` reloads the model too."""
    hangup = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    tasks = [asyncio.create_task(_on(hangup, admin, access))]
    if settings.watch_seconds is not None:
        tasks.append(asyncio.create_task(_watch(admin, settings.bundle, settings.watch_seconds)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def _on(hangup: asyncio.Event, admin: AdminService, access: Access) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        await access.look(SIGNAL)
        await _reload(admin, SIGNAL)


async def _watch(admin: AdminService, bundle: Path, seconds: float) -> None:
    """A refused bundle is not tried again until the pointer moves: it would be refused again."""
    seen = _target(bundle)
    while True:
        await asyncio.sleep(seconds)
        now = _target(bundle)
        if now not in (seen, None) and await _reload(admin, WATCH):
            seen = now


async def _reload(admin: AdminService, who: str) -> bool:
    """False when it was not the time for it, and it should be tried again."""
    try:
        await admin.reload(None, who)
    except ServiceError as error:
        _log.error("not reloaded", cause=str(error))
        return not isinstance(error, NotReady | ReloadRunning)
    return True


def _target(bundle: Path) -> Path | None:
    """Where it points now; None in the moment between two pointers, and where there is nothing."""
    with contextlib.suppress(OSError, RuntimeError):
        return bundle.resolve(strict=True)
    return None
