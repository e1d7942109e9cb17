"""The current span of a task, in a context variable, like the request id of the log.

`http/middleware.py` starts one recording per request, `routing/telemetry.py` and the batcher add stages and attributes,
`spans.py` converts recordings to spans. Without traces there is no recording, and the cost is one variable lookup.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Protocol

Attributes = Mapping[str, str | int | bool]
"""By name. Values are from closed sets, numbers, or ids that we generate: no content of the client."""


class Recording(Protocol):
    """A span being recorded. Use from one event loop only; times are from `time.perf_counter`."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""

    def add_stage(self, name: str, started: float, ended: float, attributes: Attributes | None = None) -> None:
        """Add a finished stage, which becomes a child span."""

    def set_attributes(self, attributes: Attributes) -> None:
        """Set attributes of the span itself."""

    def start_ticket(self) -> "Recording | None":
        """A child span for one ticket of a batch request; None: the maximum of ticket spans is reached."""

    def end(self, name: str | None = None, *, problem: str | None = None, failed: bool = False) -> None:
        """End the span and pass it to the exporter with its stages.

        `problem`: the stable code of the error. `failed`: the service failed, not the client.
        """


_current: ContextVar[Recording | None] = ContextVar("recording", default=None)


def current_recording() -> Recording | None:
    return _current.get()


def set_current_recording(recording: Recording | None) -> None:
    """For this task and the tasks that it starts from now on."""
    _current.set(recording)
