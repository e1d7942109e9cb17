"""Where the process stands between start and stop; the probes read it.

`loader.py` and `process/server.py` move it.
"""

import time
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

    @property
    def uptime_seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def why_not_ready(self) -> str | None:
        """Why no new ticket should be sent here, None: they should."""
        return WHY_NOT_READY.get(self.phase) or self._fault

    def ready(self) -> None:
        self.phase = "ready"

    def drain(self) -> None:
        self.phase = "draining"

    def fault(self, why: str) -> None:
        """Something that serves is broken and being replaced; what comes in nevertheless is still tried."""
        self._fault = why

    def healed(self) -> None:
        self._fault = None
