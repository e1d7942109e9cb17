"""One bundle for all workers or for none: every one prepares it, and only when all have do they swap.

`workers.py` decides by it which bundle is served, and replaces those that die on the way.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from service.errors import NotReady, ReloadInterrupted, ReloadRefused
from service.process.child import Child, WorkerBusy, WorkerFailed, WorkerGone
from service.process.control import Abort, Commit, Loaded, Prepare

PREPARE_SECONDS = 600.0
COMMIT_SECONDS = 10.0
"""Swapping is one assignment; a worker that takes longer is not coming back."""

_log = structlog.get_logger()


async def prepare_all(children: Sequence[Child], path: Path) -> Loaded:
    """Have every one load the bundle and hold it; where one cannot, none does.

    One after the other: the first finds what is wrong with a bundle, and the others' cores stay the tickets'.

    Raises:
        ReloadRefused: one cannot; the message is its own.
        ReloadInterrupted: one ended, did not answer, or was busy; none has said anything against the bundle.
        NotReady: there is none to ask.
    """
    if not children:
        raise NotReady("no worker is there to check the bundle; ask again when one is")
    prepared: list[Child] = []
    try:
        for child in children:
            reply = await child.ask(Prepare(bundle=path), PREPARE_SECONDS)
            prepared.append(child)
    except (WorkerFailed, TimeoutError) as error:
        # The one that failed as well: it may only be late.
        aborts = (each.ask(Abort(), COMMIT_SECONDS) for each in (*prepared, child))
        await asyncio.gather(*aborts, return_exceptions=True)
        if isinstance(error, WorkerGone | WorkerBusy | TimeoutError):
            cause = str(error) or f"worker {child.number} did not get the bundle ready in time"
            raise ReloadInterrupted(cause) from error
        raise ReloadRefused(str(error)) from error
    assert isinstance(reply, Loaded)
    return reply


async def commit_all(children: Sequence[Child], path: Path) -> None:
    """Have every one serve what it holds. One that does not is ended: there is no way back."""
    await asyncio.gather(*(_commit(child, path) for child in children))


async def _commit(child: Child, path: Path) -> None:
    try:
        await child.ask(Commit(), COMMIT_SECONDS)
        child.bundle = path
    except (WorkerFailed, TimeoutError) as error:
        _log.error("worker did not swap", number=child.number, cause=str(error))
        child.kill()
