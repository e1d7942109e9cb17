"""The metrics of the bundles beside the serving one. Methods are called on the event loop."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models.fields import Field
from models.scoring import Outcome
from service.challengers.table import Role
from service.challengers.worker import Agreement
from service.metrics.metrics import PREFIX
from service.routing.canary import CANARY_RESULTS, CanaryResult

ShadowResult = Literal["computed", "shed", "failed", "unrecorded"]
"""`unrecorded`: computed, and the verdict is not on record."""
State = Literal["loading", "running", "failed"]
STATES: tuple[State, ...] = get_args(State)
_AGREEMENT = {True: "same", False: "other"}


class ChallengerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", text, labels, registry=registry)

        tickets = counter("shadow_tickets_total", "Tickets offered to the shadow.", "result")
        self._tickets = {result: tickets.labels(result) for result in get_args(ShadowResult)}
        canary = counter("canary_tickets_total", "Tickets of the canary's share that need the model.", "result")
        self._canary = {result: canary.labels(result) for result in CANARY_RESULTS}
        self._compared = counter(
            "shadow_compared_total",
            "Answers of the shadow, beside the serving bundle's.",
            *("field", "outcome", "shadow_outcome", "agreement"),
        )
        self._labels = counter(
            "shadow_labels_total", "The same, by the serving bundle's label.", "field", "label", "agreement"
        )
        self.shifts: dict[tuple[str, str], tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        """By field and label, since the shadow started: the number of answers, and the sum of their shifts."""

    def create_series(self, fields: Iterable[Field]) -> None:
        """Create the series of a new shadow at zero, and forget the shifts of the one before."""
        self.shifts.clear()
        for field in fields:
            for agreement in _AGREEMENT.values():
                for outcome in Outcome:
                    for other in Outcome:
                        self._compared.labels(field.name, outcome.value, other.value, agreement)
                for label in field.labels:
                    self._labels.labels(field.name, label, agreement)

    def count(self, result: ShadowResult, tickets: int = 1) -> None:
        if tickets:
            self._tickets[result].inc(tickets)

    def count_canary(self, result: CanaryResult) -> None:
        self._canary[result].inc()

    def compared(self, found: Agreement) -> None:
        agreement = _AGREEMENT[found.same]
        self._compared.labels(found.field, found.outcome, found.shadow_outcome, agreement).inc(found.tickets)
        self._labels.labels(found.field, found.label, agreement).inc(found.tickets)
        count, shift = self.shifts[found.field, found.label]
        self.shifts[found.field, found.label] = (count + found.tickets, shift + found.shift)


class ChallengerGauges(Collector):
    """`read` returns each challenger's role, version, share and state; `shifts` those of `ChallengerMetrics`."""

    def __init__(
        self,
        read: Callable[[], Iterable[tuple[Role, str, float, State]]],
        shifts: dict[tuple[str, str], tuple[int, float]],
    ) -> None:
        self._read = read
        self._shifts = shifts

    def collect(self) -> Iterator[GaugeMetricFamily]:
        share = GaugeMetricFamily(
            f"{PREFIX}_challenger_share", "Share of the tickets that another bundle gets.", labels=["role", "version"]
        )
        state = GaugeMetricFamily(
            f"{PREFIX}_challenger_state", "1 for the state that it is in.", labels=["role", "version", "state"]
        )
        shift = GaugeMetricFamily(
            f"{PREFIX}_shadow_confidence_shift",
            "Mean of the shadow's confidence less the serving bundle's, since the shadow started.",
            labels=["field", "label"],
        )
        for role, version, part, current in self._read():
            share.add_metric([role, version], part)
            for each in STATES:
                state.add_metric([role, version, each], each == current)
        for (field, label), (count, total) in self._shifts.items():
            shift.add_metric([field, label], total / count)
        yield from (share, state, shift)
