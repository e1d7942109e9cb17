"""The metrics of the connections. Label values are the names in the file, and closed sets."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily

from service.helpdesks.link import Link
from service.helpdesks.outbox import Depth
from service.metrics.metrics import PREFIX

DELIVERIES = ("processed", "ignored", "failed", "repeated", "unverified")
FEEDBACK = ("stored", "unmapped")
WRITES = ("written", "nothing", "failed", "dead")


class HelpdeskMetrics:
    def __init__(self, registry: CollectorRegistry, names: Iterable[str]) -> None:
        self._deliveries = Counter(
            f"{PREFIX}_deliveries_total", "Events of helpdesks.", ["connection", "result"], registry=registry
        )
        self._writes = Counter(
            f"{PREFIX}_helpdesk_writes_total",
            "Attempts to write to helpdesks, and to tell of triaged tickets.",
            ["connection", "result"],
            registry=registry,
        )
        self._feedback = Counter(
            f"{PREFIX}_helpdesk_feedback_total",
            "Values that people chose at helpdesks for tickets with a decision.",
            ["connection", "result"],
            registry=registry,
        )
        self.create_series(names)

    def create_series(self, names: Iterable[str]) -> None:
        for name in names:
            for result in DELIVERIES:
                self._deliveries.labels(name, result)
            for result in WRITES:
                self._writes.labels(name, result)
            for result in FEEDBACK:
                self._feedback.labels(name, result)

    def delivered(self, connection: str, result: str, number: int = 1) -> None:
        self._deliveries.labels(connection, result).inc(number)

    def chosen(self, connection: str, stored: int, unmapped: int) -> None:
        self._feedback.labels(connection, "stored").inc(stored)
        self._feedback.labels(connection, "unmapped").inc(unmapped)

    def wrote(self, connection: str, result: str) -> None:
        self._writes.labels(connection, result).inc()


class HelpdeskGauges:
    """Read at a scrape. `depths`: of the last look at the outbox; `is_file_right`: whether the file could be loaded
    last; `now_ms`: the clock."""

    def __init__(
        self,
        links: Mapping[str, Link],
        depths: Callable[[], Mapping[str, Depth]],
        is_file_right: Callable[[], bool],
        now_ms: Callable[[], int],
    ) -> None:
        self._links = links
        self._depths = depths
        self._is_file_right = is_file_right
        self._now_ms = now_ms

    def collect(self) -> Iterable[GaugeMetricFamily]:
        def gauge(name: str, text: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=["connection"])

        up = gauge("connection_up", "Whether the helpdesk may be written: address, rights and mapping are right.")
        breaker = gauge("connection_breaker_open", "Whether calls are kept back after failures.")
        rows = gauge("outbox_rows", "What is still to be written.")
        age = gauge("outbox_age_seconds", "Age of the oldest row that is still to be written.")
        dead = gauge("outbox_dead_rows", "What could not be written, for a person to look at.")
        depths = self._depths()
        for name, link in tuple(self._links.items()):
            depth = depths.get(name, Depth(0, 0, None))
            up.add_metric([name], link.fault is None)
            breaker.add_metric([name], link.breaker_is_open)
            rows.add_metric([name], depth.open)
            dead.add_metric([name], depth.dead)
            seconds = 0 if depth.oldest_ms is None else max(0, self._now_ms() - depth.oldest_ms) / 1000
            age.add_metric([name], seconds)
        file = GaugeMetricFamily(
            f"{PREFIX}_connections_last_reload_successful",
            "Whether the connections file could be read last.",
            value=float(self._is_file_right()),
        )
        return up, breaker, rows, age, dead, file
