"""The metrics of the record. Methods are called on the event loop; gauges are read at a scrape."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from models.label_source import LabelSource
from service.metrics.histogram import FastHistogram
from service.metrics.metrics import PREFIX

COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
FEEDBACK_SOURCES = (LabelSource.AGENT, LabelSource.CLOSE, LabelSource.IMPORT)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class RecordMetrics:
    def __init__(self, registry: CollectorRegistry, spool_limit_bytes: int) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"{PREFIX}_records_{name}", text, registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"{PREFIX}_records_{name}", text, registry=registry)

        def histogram(name: str, bounds: tuple[float, ...], text: str) -> FastHistogram:
            return FastHistogram(registry, f"{PREFIX}_records_{name}", text, bounds)

        self._written = counter("written_total", "Decisions committed to the database.")
        self._repeated = counter("repeated_total", "Requests that got an earlier request's decision.")
        self._feedback = Counter(
            f"{PREFIX}_feedback_total", "Values of feedback stored.", ["source"], registry=registry
        )
        for source in FEEDBACK_SOURCES:
            self._feedback.labels(source.value)
        self._spooled = counter("spooled_total", "Decisions written to the spool.")
        self._commit_seconds = histogram("commit_duration_seconds", COMMIT_SECONDS, "A commit, with its statements.")
        self._commit_rows = histogram("commit_rows", ROWS, "Decisions committed together.")
        self._up = gauge("up", "Whether the database takes decisions.")
        self._spool_rows = gauge("spool_rows", "Decisions that wait in the spool.")
        self._spool_bytes = gauge("spool_bytes", "Size of the spool.")
        gauge("spool_limit_bytes", "Largest size of the spool.").set(spool_limit_bytes)
        self._limit = spool_limit_bytes
        self.spool = (0, 0)
        """Rows and bytes."""

    @property
    def spool_has_room(self) -> bool:
        """With a margin for the entries that are on their way."""
        return self.spool[1] < 0.98 * self._limit

    def committed(self, rows: int, seconds: float) -> None:
        self._written.inc(rows)
        self._commit_seconds.observe(seconds)
        self._commit_rows.observe(rows)

    def repeated(self) -> None:
        self._repeated.inc()

    def feedback(self, source: LabelSource, values: int) -> None:
        self._feedback.labels(source.value).inc(values)

    def spooled(self, rows: int, size: int) -> None:
        self._spooled.inc(max(0, rows - self.spool[0]))
        self.set_spool(rows, size)

    def drained(self, rows: int, left: int, size: int) -> None:
        self._written.inc(rows)
        self.set_spool(left, size)

    def set_up(self, up: bool) -> None:
        self._up.set(up)

    def set_spool(self, rows: int, size: int) -> None:
        self.spool = (rows, size)
        self._spool_rows.set(rows)
        self._spool_bytes.set(size)
