"""Gauges that are computed when Prometheus scrapes, so that they cost nothing per ticket.

They have the same values as `/admin/status`.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from models.build import build
from service.api.schemas import ServingOut
from service.automation.evidence import AUTHOR, Evidence
from service.automation.in_force import InForce
from service.drift.window import Drift
from service.inference.cgroup import cpu_throttling, memory_limit_bytes, memory_used_bytes
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
        promised = GaugeMetricFamily(
            f"{PREFIX}_promised_precision",
            "Share of routed tickets that the bundle promises to be right.",
            labels=["field"],
        )
        if serving is not None:
            for field, precision in serving.promised_precisions.items():
                promised.add_metric([field], precision)
            for field, ratio in serving.expected_route_ratios.items():
                expected.add_metric([field], ratio)
            plan_values = {"variant": serving.model.variant, **serving.plan.model_dump()}
            plan.add_metric([str(plan_values[name]) for name in _PLAN_LABELS], 1)
            model_values = {"provider": serving.provider, **serving.model.model_dump()}
            model.add_metric([str(model_values[name]) for name in _MODEL_LABELS], 1)
            with contextlib.suppress(ValueError):  # an invalid date in the manifest must not remove the other metrics
                created.add_metric([serving.model.version], datetime.fromisoformat(serving.created_at).timestamp())
        yield from (plan, model, created, expected)
        if promised.samples:  # a bundle that routes nothing promises nothing
            yield promised


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


class DiskGauges(Collector):
    """The disk of the folder that holds the record or its spool."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            disk = os.statvfs(self._folder)
        except OSError:  # PostgreSQL with `refuse` needs no folder
            return
        free, used = disk.f_bavail, disk.f_blocks - disk.f_bfree
        yield _gauge("state_disk_free_bytes", "Free on the disk of the state folder.", free * disk.f_frsize)
        yield _gauge("state_disk_size_bytes", "Size of the disk of the state folder.", (free + used) * disk.f_frsize)


class AutomationGauges(Collector):
    """The switches of automation in force. Slices are counted, not named: addresses and domains are the users' data."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["field", "scope", "label", "mode"]
        count = GaugeMetricFamily(f"{PREFIX}_automation_off", "Switches that keep tickets back.", labels=labels)
        since = GaugeMetricFamily(
            f"{PREFIX}_automation_off_since_timestamp_seconds", "Since when, of the oldest one.", labels=labels
        )
        oldest: dict[tuple[str, str, str, str], list[float]] = {}
        for switch in self._in_force.switches or ():
            key = (switch.field, switch.scope, switch.selector.get("label", ""), switch.mode.value)
            oldest.setdefault(key, []).append(switch.since_ms / 1000)
        for key, times in oldest.items():
            count.add_metric(key, len(times))
            since.add_metric(key, min(times))
        yield from (family for family in (count, since) if family.samples)


class DriftGauges(Collector):
    """How far mail is from what the bundle was measured on. No value with too few tickets, or without a reference: an
    alert must not take a zero for an answer."""

    def __init__(self, read: Callable[[], Drift | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        drift = self._read()
        yield _gauge("drift_tickets", "Tickets that drift is measured on.", drift.tickets if drift else 0)
        psi = GaugeMetricFamily(
            f"{PREFIX}_drift_psi", "Stability index of the signal, 0 where chance explains it.", labels=["signal"]
        )
        expected = GaugeMetricFamily(
            f"{PREFIX}_expected_precision", "Mean confidence of a field's routed tickets.", labels=["field"]
        )
        if drift is not None:
            for name, signal in drift.signals.items():
                if signal.shift is not None:
                    psi.add_metric([name], signal.shift.psi)
            for name, precision in drift.expected_precision.items():
                if precision.value is not None:
                    expected.add_metric([name], precision.value)
        yield from (family for family in (psi, expected) if family.samples)


class MisrouteGauges(Collector):
    """The labels that the misroute alarm has taken back, and the evidence against the others."""

    def __init__(self, in_force: InForce, read: Callable[[], Sequence[Evidence]]) -> None:
        self._in_force = in_force
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["field", "label"]
        alarm = GaugeMetricFamily(f"{PREFIX}_misroute_alarm", "Labels taken back, until a person acts.", labels=labels)
        tickets = GaugeMetricFamily(
            f"{PREFIX}_misroute_tickets", "Newest closed tickets that were routed.", labels=[*labels, "result"]
        )
        evidence = GaugeMetricFamily(f"{PREFIX}_misroute_evidence", "At 1 a label is taken back.", labels=labels)
        for switch in self._in_force.switches or ():
            if switch.who == AUTHOR:
                alarm.add_metric([switch.field, switch.selector["label"]], 1)
        for each in self._read():
            names = [each.watched.field, each.watched.label]
            tickets.add_metric([*names, "moved"], each.moved)
            tickets.add_metric([*names, "kept"], each.tickets - each.moved)
            evidence.add_metric(names, each.strength)
        yield from (family for family in (alarm, tickets, evidence) if family.samples)


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
