"""Where the process stands between start and stop; the probes read it.

`loader.py` and `process/server.py` move it.
"""

import time
from collections.abc import Callable
from typing import Literal

Phase = Literal["starting", "ready", "draining"]

WHY_NOT_READY: dict[Phase, str] = {
    "starting": "the bundle is still being loaded and checked",
    "draining": "the service is stopping",
}


class Lifecycle:
    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self._fault: str | None = None
        self._started = time.monotonic()
        self.on_change: Callable[[], None] = lambda: None
        """Called after every change; a worker tells its supervisor."""

    @property
    def uptime_seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def why_not_ready(self) -> str | None:
        """Why no new ticket should be sent here, None: they should."""
        return WHY_NOT_READY.get(self.phase) or self._fault

    def ready(self) -> None:
        self.phase = "ready"
        self.on_change()

    def drain(self) -> None:
        self.phase = "draining"
        self.on_change()

    def fault(self, why: str) -> None:
        """Something that serves is broken and being replaced; what comes in nevertheless is still tried."""
        self._fault = why
        self.on_change()

    def healed(self) -> None:
        self._fault = None
        self.on_change()
