"""Looking at the keys file every few seconds, if the service asks for keys.

At its bytes, not at its times: mounted secrets are swapped by a symlink, and copied files may keep their dates.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from service.access.access import Access
from service.access.audit import WATCH

LOOK_SECONDS = 2.0

_log = structlog.get_logger()


@contextlib.asynccontextmanager
async def following(access: Access) -> AsyncIterator[None]:
    """Inside, a changed file is in force within `LOOK_SECONDS`."""
    task = asyncio.create_task(_watch(access))
    try:
        yield
    finally:
        task.cancel()


async def _watch(access: Access) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await access.look(WATCH)
        except Exception:  # whatever it was: the next look may find another file
            _log.exception("keys not looked at")
