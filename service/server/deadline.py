"""A moment by which something must have come, moved with every request: `protocol.py` has two for each connection.

Moving it costs an addition. The timer behind it is not moved along, it looks again when it rings: setting one up for
every request would cost more than reading its head.
"""

import asyncio
import math
from collections.abc import Callable


class Deadline:
    """Calls `passed` once when the time is over, unless it was set anew or cleared before. Of one event loop."""

    __slots__ = ("_at", "_loop", "_passed", "_rings", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, passed: Callable[[], None]) -> None:
        self._loop = loop
        self._passed = passed
        self._at = math.inf
        self._timer: asyncio.Handle | None = None
        self._rings = math.inf  # uvloop has plain handles for what is very near: they don't tell when

    def set(self, seconds: float) -> None:
        self._at = self._loop.time() + seconds
        if self._timer is not None and self._rings > self._at:
            self._cancel_timer()
        if self._timer is None:
            self._set_timer()

    def clear(self) -> None:
        self._at = math.inf

    def end(self) -> None:
        """Never again: lets go of what it would have called, so that whoever is that goes without the collector."""
        self.clear()
        self._cancel_timer()
        self._passed = _nothing

    def _set_timer(self) -> None:
        self._rings = self._at
        self._timer = self._loop.call_at(self._at, self._ring)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._loop.time() < self._at < math.inf:
            self._set_timer()
        elif self._at < math.inf:
            self.clear()
            self._passed()


def _nothing() -> None:
    pass
