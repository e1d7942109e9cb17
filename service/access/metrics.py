"""Metrics per API key; `access.py` creates them only if a keys file is configured.

Label values are the names in the keys file. A removed name keeps its series until the process ends: a counter that
disappears looks like a reset.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.metrics.metrics import PREFIX

TicketOutcome = Literal["admitted", "rate_limited"]


class KeyMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._tickets = Counter(
            f"{PREFIX}_key_tickets_total", "Tickets that came with a key.", ("key", "outcome"), registry=registry
        )
        self._children: dict[tuple[str, TicketOutcome], Counter] = {}

    def create_series(self, names: Iterable[str]) -> None:
        """Create the series of these names, at zero."""
        outcomes: tuple[TicketOutcome, ...] = get_args(TicketOutcome)
        for name in names:
            for outcome in outcomes:
                self._children[name, outcome] = self._tickets.labels(name, outcome)

    def tickets(self, name: str, outcome: TicketOutcome, count: int) -> None:
        self._children[name, outcome].inc(count)


class KeyGauges(Collector):
    """`read` returns the callers' names with the end of their keys (Unix seconds, None: no end), and whether the file
    could be loaded last."""

    def __init__(self, read: Callable[[], tuple[Mapping[str, float | None], bool]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        expiries, successful = self._read()
        yield GaugeMetricFamily(f"{PREFIX}_keys", "Callers that the keys file names.", value=len(expiries))
        expires = GaugeMetricFamily(
            f"{PREFIX}_key_expires_timestamp_seconds", "When the caller's keys end.", labels=["key"]
        )
        for name, end in expiries.items():
            if end is not None:
                expires.add_metric([name], end)
        yield expires
        yield GaugeMetricFamily(
            f"{PREFIX}_keys_last_reload_successful",
            "Whether the keys file could be read last.",
            value=float(successful),
        )
