"""Where the process stands between start and stop, and how its last reload went; probes, metrics and status read it.

`app.py` and `routing/reload.py` move it.
"""

import time
from dataclasses import dataclass
from typing import Literal

Phase = Literal["starting", "ready", "draining"]

WHY_NOT_READY: dict[Phase, str] = {
    "starting": "the bundle is still being loaded and checked",
    "draining": "the service is stopping",
}


@dataclass(frozen=True, slots=True)
class Reload:
    """A reload that ended `at` (Unix seconds). `cause`: why the model before it goes on; None: the new one serves."""

    at: float
    cause: str | None


class Lifecycle:
    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self.last_reload: Reload | None = None
        self.served_since: float | None = None
        """When the model took over that serves now, in Unix seconds; None: none does yet."""
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
        self.served_since = time.time()

    def drain(self) -> None:
        self.phase = "draining"

    def fault(self, why: str) -> None:
        """Something that serves is broken and being replaced; what comes in nevertheless is still tried."""
        self._fault = why

    def healed(self) -> None:
        self._fault = None

    def reloaded(self, cause: str | None = None) -> None:
        """A reload ended. `cause`: why it was refused; None: another model serves now."""
        self.last_reload = Reload(time.time(), cause)
        if cause is None:
            self.served_since = self.last_reload.at
