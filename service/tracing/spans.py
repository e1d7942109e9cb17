"""Converts recordings to OpenTelemetry spans; a thread sends them by OTLP over HTTP. Imported only if traces are on.

The OTEL_* variables of OpenTelemetry set endpoint, sampling and service name. Failures of the exporter never reach a
request; its log messages go through `logs.py`.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, format_span_id, format_trace_id, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from service.build import build
from service.tracing.recording import Attributes

MAX_TICKET_SPANS = 64
"""Tickets of one batch request with their own spans. All 256 would be 1,800 spans, most of the exporter's queue."""
TICKET_SPAN = "decide ticket"
_NAME = "ticket-router"
_CONTEXT_HEADERS = (b"traceparent", b"tracestate")


@dataclass(frozen=True, slots=True)
class Clock:
    """Converts `perf_counter` times of stages to nanoseconds since the epoch, as spans need them.

    One clock per request: an adjustment of the system clock shifts the request, and its duration stays correct.
    """

    epoch: int
    counter: float

    @classmethod
    def now(cls) -> "Clock":
        return cls(time.time_ns(), time.perf_counter())

    def to_epoch(self, counter: float) -> int:
        return self.epoch + int((counter - self.counter) * 1e9)


class SpanRecording:
    """A `Recording`. Its stage spans are created at its end, after the response was sent."""

    __slots__ = ("_clock", "_span", "_stages", "_tickets_left", "_tracer")

    def __init__(self, tracer: Tracer, span: Span, clock: Clock, tickets_left: int) -> None:
        self._tracer = tracer
        self._span = span
        self._clock = clock
        self._tickets_left = tickets_left
        self._stages: list[tuple[str, float, float, Attributes | None]] = []

    @property
    def trace_id(self) -> str:
        return format_trace_id(self._span.get_span_context().trace_id)

    def add_stage(self, name: str, started: float, ended: float, attributes: Attributes | None = None) -> None:
        self._stages.append((name, started, ended, attributes))

    def set_attributes(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def start_ticket(self) -> "SpanRecording | None":
        if not self._tickets_left:
            return None
        self._tickets_left -= 1
        now = self._clock.to_epoch(time.perf_counter())
        span = self._tracer.start_span(TICKET_SPAN, set_span_in_context(self._span), start_time=now)
        return SpanRecording(self._tracer, span, self._clock, tickets_left=0)

    def end(self, name: str | None = None, *, problem: str | None = None, failed: bool = False) -> None:
        now, parent = self._clock.to_epoch(time.perf_counter()), set_span_in_context(self._span)
        for stage, started, ended, attributes in self._stages:
            span = self._tracer.start_span(
                stage, parent, attributes=attributes, start_time=self._clock.to_epoch(started)
            )
            span.end(self._clock.to_epoch(ended))
        if name is not None:
            self._span.update_name(name)
        if problem is not None:
            self.set_attributes({"ticket_router.problem": problem} | ({"error.type": problem} if failed else {}))
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(now)


class Spans:
    """The tracer provider of the process, with the thread of its exporter."""

    def __init__(self) -> None:
        """
        Raises:
            Exception: OpenTelemetry refuses an OTEL_* variable, with an error of any class.
        """
        # `close` stops the provider: its own exit handler has no time limit.
        resource = Resource.create({SERVICE_NAME: _NAME, SERVICE_VERSION: build().version})
        resource = resource.merge(OTELResourceDetector().detect())  # the OTEL_* variables take precedence
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_NAME, build().version)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, scope: Scope) -> tuple[SpanRecording | None, Mapping[str, str]]:
        """The recording of a request, None if it is not sampled, and its ids for the log.

        The span continues the trace of the header `traceparent`, with its sampling decision.
        """
        clock = Clock.now()
        parent = self._propagator.extract(_trace_headers(scope))
        span = self._tracer.start_span("HTTP", parent, SpanKind.SERVER, start_time=clock.epoch)
        recording = SpanRecording(self._tracer, span, clock, MAX_TICKET_SPANS) if span.is_recording() else None
        context = span.get_span_context()
        if not context.is_valid:  # OTEL_SDK_DISABLED switches off all spans
            return recording, {}
        # OpenTelemetry's names for the ids in JSON logs.
        ids = {
            "trace_id": format_trace_id(context.trace_id),
            "span_id": format_span_id(context.span_id),
            "trace_flags": f"{context.trace_flags:02x}",
        }
        return recording, ids

    def close(self, at_most_seconds: float) -> None:
        # In a thread: a collector that accepts the connection and does not answer blocks until its own timeout.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(at_most_seconds)


def _trace_headers(scope: Scope) -> Mapping[str, list[str]]:
    """The trace headers of the request. Two `traceparent` headers are ambiguous and are ignored."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        if name in _CONTEXT_HEADERS:
            headers.setdefault(name.decode(), []).append(value.decode("latin-1"))
    return headers if len(headers.get("traceparent", ())) == 1 else {}
