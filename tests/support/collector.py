"""A collector of spans: OTLP over HTTP on loopback, read with OpenTelemetry's own protobuf messages."""

import contextlib
import gzip
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.waiting import wait_until

Manner = Literal["takes", "refuses", "is silent"]


@dataclass(frozen=True)
class Seen:
    """A received span. Times in nanoseconds since the epoch, ids in hexadecimal."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    started: int
    ended: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    failed: bool
    status_message: str
    events: int
    trace_state: str


@dataclass
class Collector:
    """The spans received. `manner` selects the responses from now on."""

    manner: Manner = "takes"
    port: int = 0
    spans: list[Seen] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def env(self, **more: str) -> dict[str, str]:
        """The environment of a service that sends spans here, ten times a second."""
        endpoint = f"http://127.0.0.1:{self.port}"
        ours = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "TICKET_ROUTER_TRACES": "true",
        }
        return {**os.environ, **ours, **more}

    def trace(self, trace_id: str) -> list[Seen]:
        """All spans of a trace, as soon as its root is here: the root ends last."""
        wait_until(lambda: any(span.kind == "SERVER" and span.trace_id == trace_id for span in self.spans))
        return [span for span in self.spans if span.trace_id == trace_id]

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _attributes(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_seen(span, resource) for span in scope.spans]


@contextlib.contextmanager
def collecting(manner: Manner = "takes") -> Iterator[Collector]:
    collector = Collector(manner)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if collector.manner == "is silent":
                collector.over.wait()
                return
            if collector.manner == "takes":
                collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200 if collector.manner == "takes" else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Keeps the test output free of request lines."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _seen(span: trace_pb2.Span, resource: Mapping[str, Any]) -> Seen:
    return Seen(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        started=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        resource=resource,
        failed=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        status_message=span.status.message,
        events=len(span.events),
        trace_state=span.trace_state,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        assert isinstance(pair, KeyValue)
        found[pair.key] = getattr(pair.value, pair.value.WhichOneof("value"))
    return found
