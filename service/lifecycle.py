"""The phase of the process between start and stop, and the result of its last reload.

`app.py` and `routing/reload.py` change them; probes, metrics and status read them.
"""

import time
from dataclasses import dataclass
from typing import Literal

Phase = Literal["starting", "ready", "draining"]

NOT_READY_REASONS: dict[Phase, str] = {
    "starting": "the bundle is still being loaded and checked",
    "draining": "the service is stopping",
}


@dataclass(frozen=True, slots=True)
class Reload:
    """A reload that ended `at` (Unix seconds). `cause`: why it was refused; None: the new model serves."""

    at: float
    cause: str | None


class Lifecycle:
    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self.last_reload: Reload | None = None
        self.served_since: float | None = None
        """When the current model took over, in Unix seconds; None: no model serves yet."""
        self._fault: str | None = None
        self._started = time.monotonic()

    @property
    def uptime_seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def not_ready_reason(self) -> str | None:
        """Why the service should get no new tickets; None: it is ready."""
        return NOT_READY_REASONS.get(self.phase) or self._fault

    def ready(self) -> None:
        self.phase = "ready"
        self.served_since = time.time()

    def drain(self) -> None:
        self.phase = "draining"

    def set_fault(self, reason: str) -> None:
        """A part is broken and being replaced. The service is not ready, but still processes incoming tickets."""
        self._fault = reason

    def clear_fault(self) -> None:
        self._fault = None

    def record_unchanged(self) -> None:
        """A reload named the model that serves."""
        self.last_reload = Reload(time.time(), None)

    def record_reload(self, cause: str | None = None) -> None:
        """A reload ended. `cause`: why it was refused; None: another model serves now."""
        self.last_reload = Reload(time.time(), cause)
        if cause is None:
            self.served_since = self.last_reload.at
