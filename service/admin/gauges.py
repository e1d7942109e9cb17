"""Gauges that are read when the metrics are asked for, and not followed ticket by ticket, which would cost each one.

Over what `/admin/status` says: of one process, or of several as one.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.admin.cgroup_memory import memory_limit_bytes, memory_used_bytes
from service.api.schemas import ServingOut
from service.lifecycle import Lifecycle
from service.metrics.metrics import PREFIX

_MODEL_LABELS = ("version", "variant", "provider", "text_version")
_PLAN_LABELS = ("variant", "runners", "intra_op_threads", "lone_threads", "max_batch_tokens")


class ServingGauges(Collector):
    """`read` gives what every process serves; none of one that serves nothing yet."""

    def __init__(self, read: Callable[[], Sequence[ServingOut]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        serving = self._read()
        yield _gauge("queue_depth", "Tickets waiting.", sum(each.queue_depth for each in serving))
        yield _gauge("queue_tokens", "Padded tokens waiting.", sum(each.queue_tokens for each in serving))
        yield _gauge("queue_tokens_limit", "Tokens that may wait.", sum(each.queue_tokens_limit for each in serving))
        yield _gauge("runners", "Batches that can run side by side.", sum(each.plan.runners for each in serving))
        yield _gauge("cache_entries", "Answers remembered.", sum(each.cache_entries for each in serving))
        yield _info("plan_info", "How the model runs.", _PLAN_LABELS, [_plan_values(each) for each in serving])
        yield _info("model_info", "The model.", _MODEL_LABELS, [_model_values(each) for each in serving])
        yield _created(serving)


class StateGauges(Collector):
    """Whether the whole takes tickets, how its last reload went, and the memory it has and may use."""

    def __init__(self, lifecycle: Lifecycle, why_not_ready: Callable[[], str | None]) -> None:
        self._lifecycle = lifecycle
        self._why_not_ready = why_not_ready

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _gauge("ready", "Whether tickets should be sent here.", self._why_not_ready() is None)
        yield _gauge("memory_limit_bytes", "Memory that may be used.", memory_limit_bytes())
        if (used := memory_used_bytes()) is not None:
            yield _gauge("memory_used_bytes", "Memory that counts against the limit.", used)
        served_since, last = self._lifecycle.served_since, self._lifecycle.last_reload
        if served_since is not None:  # before that, no reload has gone well and none has gone wrong
            succeeded = last is None or last.cause is None
            yield _gauge("model_last_reload_successful", "Whether the last reload succeeded.", succeeded)
            yield _gauge("model_last_reload_success_timestamp_seconds", "When a model last took over.", served_since)


def _model_values(serving: ServingOut) -> tuple[str, ...]:
    model = serving.model
    return model.version, model.variant, serving.provider, str(model.text_version)


def _plan_values(serving: ServingOut) -> tuple[str, ...]:
    known = {"variant": serving.model.variant, **serving.plan.model_dump()}
    return tuple(str(known[name]) for name in _PLAN_LABELS)


def _created(serving: Sequence[ServingOut]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}_model_created_timestamp_seconds", "When it was made.", labels=["version"])
    for version, created_at in dict.fromkeys((each.model.version, each.created_at) for each in serving):
        with contextlib.suppress(ValueError):  # a manifest may hold 30 February; that must cost no other metric
            family.add_metric([version], datetime.fromisoformat(created_at).timestamp())
    return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=float(value))


def _info(name: str, text: str, labels: Sequence[str], series: Sequence[tuple[str, ...]]) -> GaugeMetricFamily:
    """A 1 for every distinct set of values."""
    family = GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values in dict.fromkeys(series):
        family.add_metric(values, 1)
    return family
