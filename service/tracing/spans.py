"""Recordings become OpenTelemetry spans, and a thread sends them by OTLP over HTTP. Imported only where traces are on.

Where they go, how many are kept and what the service is called, OpenTelemetry's own OTEL_* variables say. The
exporter's failures never reach a request; what it logs goes through `logs.py`.
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

from service import VERSION
from service.tracing.recording import Attributes

TICKETS = 64
"""Tickets of one batch request that get spans of their own. All 256 would be 1,800 spans, most of a full send queue."""
TICKET = "decide ticket"
_NAME = "ticket-router"
_CONTEXT_HEADERS = (b"traceparent", b"tracestate")


@dataclass(frozen=True, slots=True)
class Clock:
    """`perf_counter` as nanoseconds since the epoch: stages are timed by the one, spans are dated by the other.

    One per request, so that a clock that is set right under way shifts a request and does not stretch it.
    """

    epoch: int
    counter: float

    @classmethod
    def now(cls) -> "Clock":
        return cls(time.time_ns(), time.perf_counter())

    def date(self, moment: float) -> int:
        return self.epoch + int((moment - self.counter) * 1e9)


class SpanRecording:
    """A `Recording`. The spans of its stages are made at its end, when the answer is on its way."""

    __slots__ = ("_clock", "_room", "_span", "_stages", "_tracer")

    def __init__(self, tracer: Tracer, span: Span, clock: Clock, room: int) -> None:
        self._tracer = tracer
        self._span = span
        self._clock = clock
        self._room = room
        self._stages: list[tuple[str, float, float, Attributes | None]] = []

    def stage(self, name: str, started: float, ended: float, attributes: Attributes | None = None) -> None:
        self._stages.append((name, started, ended, attributes))

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def ticket(self) -> "SpanRecording | None":
        if not self._room:
            return None
        self._room -= 1
        now = self._clock.date(time.perf_counter())
        span = self._tracer.start_span(TICKET, set_span_in_context(self._span), start_time=now)
        return SpanRecording(self._tracer, span, self._clock, room=0)

    def end(self, name: str | None = None, *, problem: str | None = None, failed: bool = False) -> None:
        now, inside = self._clock.date(time.perf_counter()), set_span_in_context(self._span)
        for stage, started, ended, attributes in self._stages:
            span = self._tracer.start_span(stage, inside, attributes=attributes, start_time=self._clock.date(started))
            span.end(self._clock.date(ended))
        if name is not None:
            self._span.update_name(name)
        if problem is not None:
            self.note({"ticket_router.problem": problem} | ({"error.type": problem} if failed else {}))
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(now)


class Spans:
    """The provider of one process, with the thread that sends."""

    def __init__(self) -> None:
        """
        Raises:
            Exception: OpenTelemetry refuses an OTEL_* variable, with an error of any class.
        """
        # We stop it ourselves: its own way, at exit, has no limit.
        self._provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(_NAME, VERSION)
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, scope: Scope) -> tuple[SpanRecording | None, Mapping[str, str]]:
        """The recording of a request, None if the sampler wants none, and its ids for the log.

        The parent that `traceparent` names is taken over, and whether its trace is recorded with it.
        """
        clock = Clock.now()
        parent = self._propagator.extract(_carrier(scope))
        span = self._tracer.start_span("HTTP", parent, SpanKind.SERVER, start_time=clock.epoch)
        recording = SpanRecording(self._tracer, span, clock, TICKETS) if span.is_recording() else None
        return recording, _ids(span)

    def close(self, at_most_seconds: float) -> None:
        # Not this thread: a collector that takes the connection and says nothing would hold it for its own timeout.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(at_most_seconds)


def _resource() -> Resource:
    """Whose spans these are; what the variables say wins. An instance id of the process is OpenTelemetry's own."""
    return Resource.create({SERVICE_NAME: _NAME, SERVICE_VERSION: VERSION}).merge(OTELResourceDetector().detect())


def _carrier(scope: Scope) -> Mapping[str, list[str]]:
    """The request's trace headers. Two parents are none: nobody knows which one counts."""
    carrier: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        if name in _CONTEXT_HEADERS:
            carrier.setdefault(name.decode(), []).append(value.decode("latin-1"))
    return carrier if len(carrier.get("traceparent", ())) == 1 else {}


def _ids(span: Span) -> Mapping[str, str]:
    """By the names that OpenTelemetry gives them in JSON logs. Empty where OTEL_SDK_DISABLED makes no spans at all."""
    context = span.get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
        "trace_flags": f"{context.trace_flags:02x}",
    }
