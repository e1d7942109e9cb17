"""One bundle for all workers or for none: every one prepares it, and only when all have do they swap.

`workers.py` decides by it which bundle is served, and replaces those that die on the way.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from service.errors import NotReady, ReloadRefused
from service.process.child import Child, WorkerFailed, WorkerGone
from service.process.control import Abort, Commit, Loaded, Prepare

PREPARE_SECONDS = 600.0
COMMIT_SECONDS = 10.0
"""Swapping is one assignment; a worker that takes longer is not coming back."""

_log = structlog.get_logger()


class Unprepared(ReloadRefused):
    """A worker ended, or took too long; none has said anything against the bundle."""


async def prepare_all(children: Sequence[Child], path: Path) -> Loaded:
    """Have every one load the bundle and hold it; where one cannot, none does.

    One after the other: the first finds what is wrong with a bundle, and the others' cores stay the tickets'.

    Raises:
        ReloadRefused: one cannot; the message is its own.
        Unprepared: one ended or did not answer.
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
        await asyncio.gather(*(each.ask(Abort()) for each in prepared), return_exceptions=True)
        if isinstance(error, WorkerGone | TimeoutError):
            raise Unprepared(str(error) or f"worker {child.number} did not get the bundle ready in time") from error
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
