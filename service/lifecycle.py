"""Where the process stands between start and stop; the probes read it, `app.py` and `server.py` move it."""

import time
from typing import Literal

Phase = Literal["starting", "ready", "draining"]


class Lifecycle:
    def __init__(self) -> None:
        self.phase: Phase = "starting"
        self._started = time.monotonic()

    @property
    def uptime_seconds(self) -> float:
        return time.monotonic() - self._started

    def ready(self) -> None:
        self.phase = "ready"

    def drain(self) -> None:
        self.phase = "draining"
