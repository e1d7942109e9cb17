"""Tracing, on or off: started with the service, used by every request, flushed at the stop."""

from typing import TYPE_CHECKING

import structlog
from starlette.types import Scope

from models.errors import TicketRouterError
from service.tracing.recording import Recording, set_current_recording

if TYPE_CHECKING:
    from service.tracing.spans import Spans

FLUSH_SECONDS = 2.0
"""Longest time a stopping process waits for the export of its last spans. Spans left after that are lost."""


class TracesError(TicketRouterError):
    """Traces are enabled and cannot be started with this configuration."""


class Traces:
    """Use from one event loop only."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._spans: Spans | None = None

    def start(self) -> None:
        """Start recording, if enabled.

        Raises:
            TracesError: OpenTelemetry is not installed, or it refuses its OTEL_* variables.
        """
        if not self._enabled or self._spans is not None:
            return
        try:
            # Imported here, so that a service without traces neither needs OpenTelemetry nor pays for its import.
            from service.tracing.spans import Spans

            self._spans = Spans()
        except ModuleNotFoundError as error:
            raise TracesError(
                f"--traces: {error.name} is not installed; install the dependency group `traces` of pyproject.toml"
            ) from error
        except Exception as error:  # OpenTelemetry has no common error class for variables that it refuses
            raise TracesError(f"--traces: OpenTelemetry does not start: {' '.join(str(error).split())}") from error

    def begin(self, scope: Scope) -> Recording | None:
        """Start the recording of a request; None: it is not sampled, or traces are off.

        If traces are on, the log lines of every request contain the trace ids, also of requests that are not sampled:
        the trace of the caller may be recorded elsewhere.
        """
        if self._spans is None:
            return None
        recording, ids = self._spans.begin(scope)
        structlog.contextvars.bind_contextvars(**ids)
        # Also if it is None: a pipelined request starts in the context of the previous request.
        set_current_recording(recording)
        return recording

    def stop(self, at_most_seconds: float) -> None:
        """Send the recorded spans, for at most this time and `FLUSH_SECONDS`. No effect when nothing was started."""
        spans, self._spans = self._spans, None
        if spans is not None:
            spans.close(min(at_most_seconds, FLUSH_SECONDS))
