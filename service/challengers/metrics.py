"""The metrics of the bundles beside the serving one. Methods are called on the event loop."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.fields import Field
from models.scoring import Outcome
from service.challengers.worker import Agreement
from service.lifecycle import ChallengerState, ChallengerStatus
from service.metrics.metrics import PREFIX
from service.routing.canary import CANARY_RESULTS, CanaryResult

ShadowResult = Literal["computed", "shed", "failed", "unrecorded"]
"""`unrecorded`: computed, and the verdict is not on record."""
STATES: tuple[ChallengerState, ...] = get_args(ChallengerState)
_AGREEMENT = {True: "same", False: "other"}


class ChallengerMetrics(Collector):
    """`read` returns what there is beside the serving bundle. Series of fields and labels exist from a shadow's start
    on."""

    def __init__(self, registry: CollectorRegistry, read: Callable[[], Iterable[ChallengerStatus]]) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(f"{PREFIX}_{name}", text, ["result"], registry=registry)

        tickets = counter("shadow_tickets_total", "Tickets offered to the shadow.")
        self._tickets = {result: tickets.labels(result) for result in get_args(ShadowResult)}
        canary = counter("canary_tickets_total", "Tickets of the canary's share that need the model.")
        self._canary = {result: canary.labels(result) for result in CANARY_RESULTS}
        self._read = read
        # By field, outcome, the shadow's outcome and agreement; by field, label and agreement.
        self._compared: dict[tuple[str, ...], int] = {}
        self._labels: dict[tuple[str, ...], int] = {}
        # By field and label, since the shadow started: the number of answers, and the sum of their shifts.
        self._shifts: dict[tuple[str, str], tuple[int, float]] = {}
        registry.register(self)

    def create_series(self, fields: Iterable[Field]) -> None:
        """Create the series of a new shadow at zero, and forget the shifts of the one before."""
        self._shifts.clear()
        for field in fields:
            for agreement in _AGREEMENT.values():
                for outcome in Outcome:
                    for other in Outcome:
                        self._compared.setdefault((field.name, outcome.value, other.value, agreement), 0)
                for label in field.labels:
                    self._labels.setdefault((field.name, label, agreement), 0)

    def count(self, result: ShadowResult, tickets: int = 1) -> None:
        if tickets:
            self._tickets[result].inc(tickets)

    def count_canary(self, result: CanaryResult) -> None:
        self._canary[result].inc()

    def compared(self, found: Agreement) -> None:
        agreement = _AGREEMENT[found.same]
        for series, counts in (
            ((found.field, found.outcome, found.shadow_outcome, agreement), self._compared),
            ((found.field, found.label, agreement), self._labels),
        ):
            counts[series] = counts.get(series, 0) + found.tickets
        count, shift = self._shifts.get((found.field, found.label), (0, 0.0))
        self._shifts[found.field, found.label] = (count + found.tickets, shift + found.shift)

    def collect(self) -> Iterator[Metric]:
        share = _gauge("challenger_share", "Share of the tickets that another bundle gets.", "role", "version")
        state = _gauge("challenger_state", "1 for the state that it is in.", "role", "version", "state")
        for each in self._read():
            share.add_metric([each.role, each.version], each.share)
            for name in STATES:
                state.add_metric([each.role, each.version, name], name == each.state)
        compared = CounterMetricFamily(
            f"{PREFIX}_shadow_compared",
            "Answers of the shadow, beside the serving bundle's.",
            labels=["field", "outcome", "shadow_outcome", "agreement"],
        )
        labels = CounterMetricFamily(
            f"{PREFIX}_shadow_labels",
            "The same, by the serving bundle's label.",
            labels=["field", "label", "agreement"],
        )
        for family, counts in ((compared, self._compared), (labels, self._labels)):
            for series, count in counts.items():
                family.add_metric(series, count)
        shift = _gauge(
            "shadow_confidence_shift",
            "Mean of the shadow's confidence less the serving bundle's, since the shadow started.",
            "field",
            "label",
        )
        for (field, label), (count, total) in self._shifts.items():
            shift.add_metric([field, label], total / count)
        yield from (family for family in (share, state, compared, labels, shift) if family.samples)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
