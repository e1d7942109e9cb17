"""Traces, on or off: opened when the service starts, asked at every request, flushed when it stops."""

from typing import TYPE_CHECKING

import structlog
from starlette.types import Scope

from models.errors import TicketRouterError
from service.tracing.recording import Recording, make_current

if TYPE_CHECKING:
    from service.tracing.spans import Spans

FLUSH_SECONDS = 2.0
"""Longest a stopping process waits for its last spans to be taken. What a slow collector has not taken then is lost."""


class TracesError(TicketRouterError):
    """Traces are asked for and cannot be had as they are configured."""


class Traces:
    """Use from one event loop only."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._spans: Spans | None = None

    def start(self) -> None:
        """Record from now on, if that is wanted.

        Raises:
            TracesError: OpenTelemetry is not installed, or it refuses its OTEL_* variables.
        """
        if self._wanted and self._spans is None:
            self._spans = _open_spans()

    def begin(self, scope: Scope) -> Recording | None:
        """The recording of a request that begins now; None: it is not recorded, or none is.

        Where traces are on, the log lines of the request carry their ids, those of unrecorded ones too: the caller's
        trace may be recorded elsewhere.
        """
        if self._spans is None:
            return None
        recording, ids = self._spans.begin(scope)
        structlog.contextvars.bind_contextvars(**ids)
        # Also where it is None: a pipelined request begins in the context of the one before.
        make_current(recording)
        return recording

    def stop(self, at_most_seconds: float) -> None:
        """Send what is recorded, waiting no longer than this or `FLUSH_SECONDS`. Harmless when nothing was started."""
        spans, self._spans = self._spans, None
        if spans is not None:
            spans.close(min(at_most_seconds, FLUSH_SECONDS))


def _open_spans() -> "Spans":
    try:
        # Here and not above: a service without traces neither needs it nor pays for its import.
        from service.tracing.spans import Spans

        return Spans()
    except ModuleNotFoundError as error:
        raise TracesError(
            f"--traces: {error.name} is not installed; install the dependency group `traces` of pyproject.toml"
        ) from error
    except Exception as error:  # OpenTelemetry has no error class of its own for a variable that it refuses
        raise TracesError(f"--traces: OpenTelemetry does not start: {' '.join(str(error).split())}") from error
