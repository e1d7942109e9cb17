"""The span that is being recorded in this task, if there is one: ambient, as the log's request id is.

`http/middleware.py` opens one per request, `telemetry.py` and the batcher tell it what happens, `spans.py` makes spans
of it. Without traces nothing is ever current, and all of this costs one look.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

Attributes = Mapping[str, str | int | bool]
"""By name. Values are of closed sets, numbers, and ids of our own: nothing that a client wrote."""


class Recording(Protocol):
    """A span in the making. Use from one event loop only; moments are of `time.perf_counter`."""

    def stage(self, name: str, started: float, ended: float, attributes: Attributes | None = None) -> None:
        """A part of it that is over."""

    def note(self, attributes: Attributes) -> None:
        """What is known of the whole."""

    def ticket(self) -> "Recording | None":
        """A span inside, for one ticket of many; None: so many have theirs that this one gets none."""

    def end(self, name: str | None = None, *, problem: str | None = None, failed: bool = False) -> None:
        """It is over, and goes to the exporter with its stages.

        `problem`: what came in the way, by its stable code. `failed`: it was our fault, not the client's.
        """


_current: ContextVar[Recording | None] = ContextVar("recording", default=None)


def current() -> Recording | None:
    return _current.get()


def make_current(recording: Recording | None) -> None:
    """From now on in this task, and in those it starts."""
    _current.set(recording)
