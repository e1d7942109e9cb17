"""The phase of the process between start and stop, the result of its last reload, what runs beside the model, and how
tasks beside the requests are repeated and ended.

`app.py` and `routing/reload.py` change them; probes, metrics and status read them.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import structlog

from service.errors import RecordsUnavailable

_log = structlog.get_logger()

Phase = Literal["starting", "ready", "draining"]
Part = Literal["model", "records"]
ChallengerRole = Literal["shadow", "canary"]
ChallengerState = Literal["loading", "running", "failed"]

NOT_READY_REASONS: dict[Phase, str] = {
    "starting": "the bundle is still being loaded and checked",
    "draining": "the service is stopping",
}


@dataclass(frozen=True, slots=True)
class Reload:
    """A reload that ended `at` (Unix seconds). `cause`: why it was refused; None: the new model serves."""

    at: float
    cause: str | None


class ChallengerStatus(NamedTuple):
    """A bundle beside the serving one, on this process. `cause`: why it failed. `variant`: None until it is loaded.
    `since_ms`, `who` and `why`: of the request that put it in force."""

    role: ChallengerRole
    version: str
    share: float
    state: ChallengerState
    cause: str | None
    variant: str | None
    since_ms: int
    who: str
    why: str


class Lifecycle:
    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self.last_reload: Reload | None = None
        self.served_since: float | None = None
        """When the current model took over, in Unix seconds; None: no model serves yet."""
        self._faults: dict[Part, str] = {}
        self._started = time.monotonic()

    @property
    def uptime_seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def not_ready_reason(self) -> str | None:
        """Why the service should get no new tickets; None: it is ready."""
        return NOT_READY_REASONS.get(self.phase) or next(iter(self._faults.values()), None)

    def ready(self) -> None:
        self.phase = "ready"
        self.served_since = time.time()

    def drain(self) -> None:
        self.phase = "draining"

    def set_fault(self, part: Part, reason: str) -> None:
        """A part does not work, and its repair is under way. The service is not ready, but still takes tickets."""
        self._faults[part] = reason

    def clear_fault(self, part: Part) -> None:
        self._faults.pop(part, None)

    def record_unchanged(self) -> None:
        """A reload named the model that serves."""
        self.last_reload = Reload(time.time(), None)

    def record_reload(self, cause: str | None = None) -> None:
        """A reload ended. `cause`: why it was refused; None: another model serves now."""
        self.last_reload = Reload(time.time(), cause)
        if cause is None:
            self.served_since = self.last_reload.at


async def repeat(work: Callable[[], Awaitable[Any]], seconds: float, failed: str, *, after: float = 0.0) -> None:
    """Do the work every `seconds` until cancelled; errors do not end it, since the next attempt may succeed. `failed`:
    the event to log. `after`: seconds before the first time."""
    await asyncio.sleep(after)
    while True:
        try:
            await work()
        except RecordsUnavailable:
            pass  # the database's absence has its own metric
        except Exception:
            _log.exception(failed)
        await asyncio.sleep(seconds)


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
