"""Gauges that are computed when Prometheus scrapes, so that they cost nothing per ticket.

They have the same values as `/admin/status`.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.build import build
from service.admin.cgroup import cpu_throttling, memory_limit_bytes, memory_used_bytes
from service.api.schemas import ServingOut
from service.automation.automation import Automation
from service.lifecycle import Lifecycle
from service.logs import lost_lines
from service.metrics.metrics import PREFIX
from service.records.live import Estimate

_THROTTLING = {"periods": "periods", "throttled": "throttled_periods", "seconds": "throttled_seconds"}
_MODEL_LABELS = ("version", "variant", "provider", "text_version")
BOUNDS = ("value", "low", "high")
"""A share and its 95 % interval."""
_LIVE = {
    "precision": "Share of the tickets routed to a department that belongs there.",
    "coverage": "Share of a department's tickets that was routed.",
    "agreement": "Share of the tickets routed or suggested to a department that belongs there.",
}
_PLAN_LABELS = ("variant", "runners", "intra_op_threads", "lone_threads", "max_batch_tokens")


class ServingGauges(Collector):
    """`read` returns the serving state, None before the first model is loaded."""

    def __init__(self, read: Callable[[], ServingOut | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        serving = self._read()
        yield _gauge("queue_depth", "Tickets waiting.", serving.queue_depth if serving else 0)
        yield _gauge("queue_tokens", "Padded tokens waiting.", serving.queue_tokens if serving else 0)
        yield _gauge("queue_tokens_limit", "Tokens that may wait.", serving.queue_tokens_limit if serving else 0)
        yield _gauge("runners", "Batches that can run side by side.", serving.plan.runners if serving else 0)
        yield _gauge("cache_entries", "Answers remembered.", serving.cache_entries if serving else 0)
        plan = GaugeMetricFamily(f"{PREFIX}_plan_info", "How the model runs.", labels=_PLAN_LABELS)
        model = GaugeMetricFamily(f"{PREFIX}_model_info", "The model.", labels=_MODEL_LABELS)
        created = GaugeMetricFamily(
            f"{PREFIX}_model_created_timestamp_seconds", "When it was made.", labels=["version"]
        )
        expected = GaugeMetricFamily(
            f"{PREFIX}_expected_route_ratio", "Share of tickets the bundle expects to route.", labels=["field"]
        )
        if serving is not None:
            for field, ratio in serving.expected_route_ratios.items():
                expected.add_metric([field], ratio)
            plan_values = {"variant": serving.model.variant, **serving.plan.model_dump()}
            plan.add_metric([str(plan_values[name]) for name in _PLAN_LABELS], 1)
            model_values = {"provider": serving.provider, **serving.model.model_dump()}
            model.add_metric([str(model_values[name]) for name in _MODEL_LABELS], 1)
            with contextlib.suppress(ValueError):  # an invalid date in the manifest must not remove the other metrics
                created.add_metric([serving.model.version], datetime.fromisoformat(serving.created_at).timestamp())
        yield from (plan, model, created, expected)


class LiveGauges(Collector):
    """How good the routing is in use; `read` returns the last estimate. The departments are labels of bundles."""

    def __init__(self, read: Callable[[], Estimate | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        estimate = self._read()
        labels = ["department", "basis", "bound"]
        shares = {name: GaugeMetricFamily(f"{PREFIX}_live_{name}", text, labels=labels) for name, text in _LIVE.items()}
        override = GaugeMetricFamily(
            f"{PREFIX}_live_override_ratio",
            "Share of routed tickets that people moved.",
            labels=["department", "bound"],
        )
        confidence = GaugeMetricFamily(
            f"{PREFIX}_live_confidence", "Mean confidence of routed and suggested tickets.", labels=labels[:2]
        )
        rows = GaugeMetricFamily(
            f"{PREFIX}_live_rows", "Decisions that a share rests on.", labels=["measure", *labels[:2]]
        )
        for name, department in ({} if estimate is None else estimate.departments).items():
            if department.override is not None:
                for bound in BOUNDS:
                    override.add_metric([name, bound], getattr(department.override, bound))
                rows.add_metric(["override_ratio", name, "routed"], department.override.rows)
            for basis, measures in department.measures.items():
                if measures.confidence is not None:
                    confidence.add_metric([name, basis], measures.confidence)
                for measure, family in shares.items():
                    share = getattr(measures, measure)
                    if share is not None:
                        for bound in BOUNDS:
                            family.add_metric([name, basis, bound], getattr(share, bound))
                        rows.add_metric([measure, name, basis], share.rows)
        yield from (family for family in (*shares.values(), override, confidence, rows) if family.samples)


class AutomationGauges(Collector):
    """The switches of automation in force. Slices are counted, not named: addresses and domains are the users' data."""

    def __init__(self, automation: Automation) -> None:
        self._automation = automation

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["field", "scope", "label", "mode"]
        count = GaugeMetricFamily(f"{PREFIX}_automation_off", "Switches that keep tickets back.", labels=labels)
        since = GaugeMetricFamily(
            f"{PREFIX}_automation_off_since_timestamp_seconds", "Since when, of the oldest one.", labels=labels
        )
        oldest: dict[tuple[str, str, str, str], list[float]] = {}
        for switch in self._automation.switches or ():
            key = (switch.field, switch.scope, switch.selector.get("label", ""), switch.mode.value)
            oldest.setdefault(key, []).append(switch.since_ms / 1000)
        for key, times in oldest.items():
            count.add_metric(key, len(times))
            since.add_metric(key, min(times))
        yield from (family for family in (count, since) if family.samples)


class StateGauges(Collector):
    """The code that runs, readiness, the result of the last reload, lost log lines, and what the cgroup allows."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def collect(self) -> Iterator[Metric]:
        code = GaugeMetricFamily(f"{PREFIX}_build_info", "The code that runs.", labels=build()._fields)
        code.add_metric(build(), 1)
        lost = CounterMetricFamily(f"{PREFIX}_log_lines_lost", "Log lines that could not be written.", labels=["kind"])
        for kind, lines in lost_lines().items():
            lost.add_metric([kind], lines)
        yield from (code, lost)
        if (throttling := cpu_throttling()) is not None:
            for name, value in throttling._asdict().items():
                yield CounterMetricFamily(
                    f"{PREFIX}_cpu_{_THROTTLING[name]}", "Of the cgroup's CPU quota.", value=value
                )
        yield _gauge("ready", "Whether tickets should be sent here.", self._lifecycle.not_ready_reason is None)
        yield _gauge("memory_limit_bytes", "Memory that may be used.", memory_limit_bytes())
        if (used := memory_used_bytes()) is not None:
            yield _gauge("memory_used_bytes", "Memory that counts against the limit.", used)
        served_since, last = self._lifecycle.served_since, self._lifecycle.last_reload
        if served_since is not None:  # before the first model, there is no reload to report
            succeeded = last is None or last.cause is None
            yield _gauge("model_last_reload_successful", "Whether the last reload succeeded.", succeeded)
            yield _gauge("model_last_reload_success_timestamp_seconds", "When a model last took over.", served_since)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=float(value))
