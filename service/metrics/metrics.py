"""All counters and histograms of the service, in one object with an injected registry.

Label values come from closed sets (route templates, enums, the bundle's labels), so a client cannot create series.
Metric names are a contract: docs and alerts use them. Gauges that are read at scrape time (queue, model) are in
`admin/gauges.py`.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    Summary,
    disable_created_metrics,
)

from models.scoring import Outcome, Reason
from service.decision import Decision
from service.metrics.batch_report import BatchReport
from service.metrics.histogram import FastHistogram

PREFIX = "ticket_router"
NO_DEPARTMENT = "none"
"""Department label of a review, which has no department."""

Stage = Literal["parse", "prepare", "encode", "queue", "infer"]
STAGES: tuple[Stage, ...] = get_args(Stage)
ResultSource = Literal["model", "cache", "shared"]
"""Computed for this ticket, read from the cache, or computed for another ticket with the same text."""
ReloadOutcome = Literal["done", "refused", "repaired"]

# Both up to the longest time that a request may take, that of a batch.
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60)
# From the parsing of a short text, some 20 µs.
STAGE_SECONDS = (0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# A loop that is late by 10 ms delays every request by as much.
LAG_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
RATIOS = (0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75)
TOKENS = (8, 16, 32, 64, 128, 192, 256, 384, 512, 1024)
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99, 1.0)


class Metrics:
    """The collectors of the service. Each method records one event, which may change several metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # A *_created gauge beside every counter would double the number of series, and no dashboard or alert reads it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._requests = self._counter("http_requests_total", "Requests answered.", "route", "method", "code")
        self._rejected = self._counter("rejected_total", "Tickets not answered, by cause.", "reason")
        self._truncated = self._counter("truncated_inputs_total", "Tickets too long for the model.")
        self._invalid = self._counter("invalid_scores_total", "Tickets whose scores were no numbers, left to people.")
        self._evicted = self._counter("connections_evicted_total", "Connections that made way for new ones.")
        self._in_flight = 0
        in_flight = Gauge(f"{PREFIX}_http_requests_in_flight", "Requests at work.", registry=self.registry)
        in_flight.set_function(lambda: self._in_flight)
        self._connections = Gauge(
            f"{PREFIX}_connections_open", "Connections of the public port.", registry=self.registry
        )
        self._connections_limit = Gauge(f"{PREFIX}_connections_limit", "Most of them.", registry=self.registry)
        self._lag = self._histogram("event_loop_lag_seconds", LAG_SECONDS, "How late the event loop runs a timer.")
        answers = self._counter("answers_total", "Answers, by where from: shares are hit rates.", "source")
        reloads = self._counter("model_reloads_total", "Reloads of the model.", "outcome")
        self._load_seconds = Summary(
            f"{PREFIX}_model_load_duration_seconds", "Opening, loading and replaying a bundle.", registry=self.registry
        )
        reviews = self._counter("reviews_total", "Tickets left to people, by cause.", "reason")
        self._decisions = self._counter("decisions_total", "Decisions.", "department", "outcome")
        self._review_candidates = self._counter(
            "review_candidates_total", "Tickets left to people, by the most likely department.", "department"
        )
        self._field_decisions = self._counter("field_decisions_total", "Of further fields.", "field", "outcome")
        self._request_seconds = self._histogram("http_request_duration_seconds", REQUEST_SECONDS, "Answering.", "route")
        # The children of the counters: `labels` takes longer than the count itself.
        self._request_counts: dict[tuple[str, str, int], Counter] = {}
        self._route_seconds: dict[str, Histogram] = {}
        self._decision_counts: dict[tuple[str, Outcome], Counter] = {}
        self.stages = self._fast("stage_duration_seconds", STAGE_SECONDS, "Time in a stage.", "stage", STAGES)
        self._batch_size = self._fast("batch_size", BATCH_ROWS, "Tickets run together.")
        self._padding = self._fast("batch_padding_ratio", RATIOS, "Share of a batch's tokens that is padding.")
        self._input_tokens = self._fast("input_tokens", TOKENS, "Tokens of a ticket, as the model saw it.")
        outcomes = [outcome.value for outcome in Outcome]
        self._confidences = self._fast("confidence", CONFIDENCES, "Best candidate's confidence.", "outcome", outcomes)
        self._answers = {source: answers.labels(source) for source in get_args(ResultSource)}
        self._reloads = {outcome: reloads.labels(outcome) for outcome in get_args(ReloadOutcome)}
        self._corrected = self._counter("corrected_total", "Tickets answered with a value that a person set.")
        self._fields: frozenset[str] = frozenset()
        causes: list[Reason] = [reason for reason in Reason if reason not in (Reason.CONFIDENT, Reason.CORRECTED)]
        self._reviews = {reason: reviews.labels(reason.value) for reason in causes}

    def create_request_series(self, series: Iterable[tuple[str, str, int]]) -> None:
        """Create these (route, method, code) series at zero: without a zero, the first error has no rate."""
        for route, method, code in series:
            self._request_counts[route, method, code] = self._requests.labels(route, method, str(code))
            if not _is_client_error(code):
                self._route_seconds[route] = self._request_seconds.labels(route)

    def create_rejection_series(self, reasons: Iterable[str]) -> None:
        """Create the series of these reasons at zero."""
        for reason in reasons:
            self._rejected.labels(reason)

    def create_decision_series(self, departments: Iterable[str], further_fields: Iterable[str]) -> None:
        """Create the series of a new model with these departments and further fields at zero."""
        # A person's word may be a department, or about a field, of an earlier model.
        wanted = [(NO_DEPARTMENT, Outcome.REVIEW), (NO_DEPARTMENT, Outcome.ROUTE)]
        for department in departments:
            wanted += [(department, Outcome.ROUTE), (department, Outcome.SUGGEST)]
            self._review_candidates.labels(department)
        self._decision_counts.update({each: self._decisions.labels(each[0], each[1].value) for each in wanted})
        self._fields = frozenset(further_fields)
        for field in self._fields:
            for outcome in Outcome:
                self._field_decisions.labels(field, outcome.value)

    def request_began(self) -> None:
        self._in_flight += 1

    def request_ended(self) -> None:
        self._in_flight -= 1

    def record_request(
        self, route: str, method: str, code: int, seconds: float | None, trace_id: str | None = None
    ) -> None:
        """One response, `seconds` after the request arrived; None for bytes that are no request, which have no start.

        Client errors are counted and not timed: their time does not show how fast the service is. `trace_id`: of a
        recorded trace, which becomes an exemplar.
        """
        count = self._request_counts.get((route, method, code)) or self._requests.labels(route, method, str(code))
        count.inc()
        if seconds is not None and not _is_client_error(code):
            exemplar = None if trace_id is None else {"trace_id": trace_id}
            self._route_seconds[route].observe(seconds, exemplar)

    def count_rejection(self, reason: str) -> None:
        self._rejected.labels(reason).inc()

    def connection_evicted(self) -> None:
        self._evicted.inc()

    def watch_connections(self, count: Callable[[], int], limit: int) -> None:
        """`count` is called when Prometheus scrapes."""
        self._connections.set_function(count)
        self._connections_limit.set(limit)

    def record_loop_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def record_result(self, source: ResultSource, tokens: int, truncated: bool) -> None:
        self._answers[source].inc()
        self._input_tokens.observe(tokens)
        if truncated:
            self._truncated.inc()

    def count_invalid_scores(self) -> None:
        self._invalid.inc()

    def time_loading(self) -> AbstractContextManager[object]:
        """Time the opening of a bundle, also when it is refused."""
        return self._load_seconds.time()

    def count_reload(self, outcome: ReloadOutcome) -> None:
        self._reloads[outcome].inc()

    def record_batch(self, report: BatchReport) -> None:
        for wait in report.waits:
            self.stages.observe(wait, "queue")
        self.stages.observe(report.seconds, "infer")
        self._batch_size.observe(report.rows)
        self._padding.observe(1 - report.own_tokens / report.padded_tokens)

    def record_decision(self, decision: Decision) -> None:
        department, fields = decision.verdict.department, decision.verdict.fields
        series = (department.predicted or NO_DEPARTMENT, department.outcome)
        (self._decision_counts.get(series) or self._decision_counts[NO_DEPARTMENT, department.outcome]).inc()
        if department.corrected is not None or any(field.corrected is not None for field in fields.values()):
            self._corrected.inc()
        if department.outcome is Outcome.REVIEW:
            self._reviews[department.reason].inc()
            if department.candidates:
                self._review_candidates.labels(department.candidates[0].label).inc()
        # Without a model run there is no confidence, which differs from a confidence of zero.
        if department.candidates and department.corrected is None:
            self._confidences.observe(department.confidence, department.outcome)
        for name in self._fields & fields.keys():
            self._field_decisions.labels(name, fields[name].outcome.value).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _fast(
        self, name: str, bounds: tuple[float, ...], text: str, label: str = "", values: Iterable[str] = ("",)
    ) -> FastHistogram:
        return FastHistogram(self.registry, f"{PREFIX}_{name}", text, bounds, label, values)

    def _histogram(self, name: str, buckets: tuple[float, ...], text: str, *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", text, labels, buckets=buckets, registry=self.registry)


def _is_client_error(code: int) -> bool:
    """Whether the response is a client error, or the client closed the connection (499)."""
    return 400 <= code < 500
