"""Gauges that are read when the metrics are asked for, and not followed ticket by ticket, which would cost each one.

Over what `/admin/status` says is being served: by one process, or by several as one.
"""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.api.schemas import ServingOut
from service.metrics import PREFIX

_MODEL_LABELS = ("version", "variant", "provider", "text_version")
_PLAN_LABELS = ("variant", "graph", "runners", "intra_op_threads", "lone_threads", "max_batch_tokens")


class ServingGauges(Collector):
    """`read` gives what every process serves; none of one that serves nothing yet."""

    def __init__(self, read: Callable[[], Sequence[ServingOut]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        serving = self._read()
        yield _sum("queue_depth", "Tickets waiting.", [each.queue_depth for each in serving])
        yield _sum("queue_tokens", "Padded tokens waiting.", [each.queue_tokens for each in serving])
        yield _sum("queue_tokens_limit", "Padded tokens that may wait.", [each.queue_tokens_limit for each in serving])
        yield _sum("cache_entries", "Answers remembered.", [each.cache_entries for each in serving])
        yield _info("plan_info", "How the model runs.", _PLAN_LABELS, [_plan_values(each) for each in serving])
        yield _info("model_info", "The model.", _MODEL_LABELS, [_model_values(each) for each in serving])


def _model_values(serving: ServingOut) -> tuple[str, ...]:
    model = serving.model
    return model.version, model.variant, serving.provider, str(model.text_version)


def _plan_values(serving: ServingOut) -> tuple[str, ...]:
    known = {"variant": serving.model.variant, **serving.plan.model_dump()}
    return tuple(str(known[name]) for name in _PLAN_LABELS)


def _sum(name: str, text: str, values: Sequence[int]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=sum(values))


def _info(name: str, text: str, labels: Sequence[str], series: Sequence[tuple[str, ...]]) -> GaugeMetricFamily:
    """A 1 for every distinct set of values."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values in dict.fromkeys(series):
        family.add_metric(values, 1)
    return family
