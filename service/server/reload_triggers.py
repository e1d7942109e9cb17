"""Model reloads without an HTTP request: on SIGHUP, and when the link of the configured bundle changes its target.

SIGHUP also reloads the keys file at once; `access/access.py` checks the file only every few seconds.
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
async def reload_triggers(admin: AdminService, access: Access, settings: Settings) -> AsyncIterator[None]:
    """Inside the context, SIGHUP reloads the keys file and the model. If `watch_seconds` is set, a new target of
    `settings.bundle` reloads the model too."""
    hangup = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    tasks = [asyncio.create_task(_reload_on_hangup(hangup, admin, access))]
    if settings.watch_seconds is not None:
        tasks.append(asyncio.create_task(_watch(admin, settings.bundle, settings.watch_seconds)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def _reload_on_hangup(hangup: asyncio.Event, admin: AdminService, access: Access) -> None:
    while True:
        await hangup.wait()
        hangup.clear()
        await access.reload_if_changed(SIGNAL)
        await _reload(admin, SIGNAL)


async def _watch(admin: AdminService, bundle: Path, seconds: float) -> None:
    """Reload when the target of the link changes. A refused bundle is not tried again: it would be refused again."""
    handled = _target(bundle)
    while True:
        await asyncio.sleep(seconds)
        target = _target(bundle)
        if target not in (handled, None) and await _reload(admin, WATCH):
            handled = target


async def _reload(admin: AdminService, requested_by: str) -> bool:
    """False if the reload could not run now and should be tried again."""
    try:
        await admin.reload(None, requested_by)
    except ServiceError as error:
        _log.error("reload failed", cause=str(error))
        return not isinstance(error, NotReady | ReloadRunning)
    return True


def _target(bundle: Path) -> Path | None:
    """The target of the link; None if there is none, also for a moment while the link is replaced."""
    with contextlib.suppress(OSError, RuntimeError):
        return bundle.resolve(strict=True)
    return None
