"""Every alert rule over a simulated quarter and twelve faults: false pages, and the time until each fault raises its
alert.

The rules are the committed ones, evaluated by promtool every five minutes. The traffic is that of the autoscaling
simulation (`tests/benchmarks/autoscaling/traffic.py`): 13 weeks. Every fourth Monday has a mailing and an outage; its
slow and refused tickets come from a replay against the committed autoscaler. One Monday is a holiday with a Sunday's
mail, and once a week an intruder tries 200 keys in a night. The same seed gives the same figures. The exit code is 1 if
an alert comes too late or more than one page is false. Seven minutes of one core.

Examples:
  python -m tests.benchmarks.alerting
  python -m tests.benchmarks.alerting --per-week 1e4 --weeks 4
"""

import argparse
import functools
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.autoscaling.cluster import Cluster, Surroundings
from tests.benchmarks.autoscaling.pods import SPEEDS
from tests.benchmarks.autoscaling.rule import read_rule
from tests.benchmarks.autoscaling.traffic import DAY, WEEKDAYS, day, usual_rate
from tests.monitoring.rules import rules, tool, write_rules

STEP = 300
"""Seconds between two samples and two evaluations."""
A_DAY = DAY // STEP
NAMES = list(WEEKDAYS)
FIRST_DAY = NAMES.index("Thu")
"""promtool's clock starts on a Thursday, at midnight UTC."""
DEPARTMENTS = {"billing": 0.2, "login": 0.3, "other": 0.5}
OUTCOMES = {"route": 0.7, "suggest": 0.1, "review": 0.2}
CONFIDENCE = 0.85, 0.15
"""Mean and deviation of a ticket's confidence."""
SLOW, FAILED = 0.003, 0.0001
"""Shares on an ordinary day."""
BEGIN = A_DAY + 10 * 3600 // STEP
"""When a fault begins: on Friday at ten."""

Counts = NDArray[np.float64]
Counters = dict[str, Counts]


def mail(per_week: float, days: int, rng: np.random.Generator, holiday: int | None) -> Counts:
    """E-mails in each step."""
    moments = np.arange(0, DAY, STEP) + STEP / 2
    weekdays = [NAMES[(FIRST_DAY + number) % 7] for number in range(days)]
    if holiday is not None:
        weekdays[holiday] = "Sun"
    rates = np.concatenate([usual_rate(per_week, weekday, moments) for weekday in weekdays])
    return rng.poisson(rates * STEP).astype(np.float64)


def split(counts: Counts, share: float, rng: np.random.Generator) -> Counts:
    return rng.binomial(counts.astype(np.int64), share).astype(np.float64)


def counters(tickets: Counts, rng: np.random.Generator, departments: dict[str, float]) -> Counters:
    """The counters' increases in each step for these tickets."""
    series: Counters = {}
    left, rest = tickets.copy(), 1.0
    for outcome, share in OUTCOMES.items():
        part = left if outcome == "review" else split(left, share / rest, rng)
        left, rest = left - part, rest - share
        among, others = part.copy(), 1.0
        for department, portion in departments.items():
            own = among if others - portion < 1e-9 else split(among, portion / others, rng)
            among, others = among - own, others - portion
            name = (
                f'review_candidates_total{{department="{department}"}}'
                if outcome == "review"
                else f'decisions_total{{department="{department}",outcome="{outcome}"}}'
            )
            series[name] = own
        series[f'confidence_count{{outcome="{outcome}"}}'] = part
        mean, deviation = CONFIDENCE
        series[f'confidence_sum{{outcome="{outcome}"}}'] = (
            part * mean + rng.normal(size=len(part)) * deviation * part**0.5
        )
    series['decisions_total{department="none",outcome="review"}'] = series['confidence_count{outcome="review"}']
    failed = split(tickets, FAILED, rng)
    slow = split(tickets, SLOW, rng)
    series['http_requests_total{route="/v1/route",code="200"}'] = tickets - failed
    series['http_requests_total{route="/v1/route",code="500"}'] = failed
    series['http_request_duration_seconds_count{route="/v1/route"}'] = tickets
    series['http_request_duration_seconds_bucket{route="/v1/route",le="0.5"}'] = tickets - slow
    for reason in ("overloaded", "unauthenticated", "too_many_connections"):
        series[f'rejected_total{{reason="{reason}"}}'] = np.zeros_like(tickets)
    return series


@functools.cache
def event_day(per_week: float, seed: int) -> tuple[Counts, Counts]:
    """For each step of a Monday with a mailing and an outage: the share of slow tickets, and the refusals."""
    replay = Cluster(read_rule(), SPEEDS["int8"], Surroundings(), seed).play(day(per_week, seed))
    of, late, refused = (
        np.asarray(values, dtype=np.float64).reshape(A_DAY, -1).sum(axis=1)
        for values in (
            replay.tickets,
            np.asarray(replay.tickets) - np.asarray(replay.in_time),
            replay.refusals,
        )
    )
    return late / np.maximum(of, 1), refused


def quarter(per_week: float, weeks: int, seed: int) -> Counters:
    rng = np.random.default_rng(seed)
    tickets = mail(per_week, 7 * weeks, rng, holiday=11 + 14 if weeks > 4 else None)
    mondays = [number for number in range(7 * weeks) if (FIRST_DAY + number) % 7 == 0]
    eventful = mondays[::4]
    refused, slow = np.zeros_like(tickets), np.zeros_like(tickets)
    for number in eventful:
        part = slice(number * A_DAY, (number + 1) * A_DAY)
        played = day(per_week, seed)
        tickets[part] = np.histogram(played.moments, np.arange(0, DAY + 1, STEP))[0]
        slow[part], refused[part] = event_day(per_week, seed)
    series = counters(tickets, rng, {"all": 1})  # no paging rule reads departments
    series['http_request_duration_seconds_bucket{route="/v1/route",le="0.5"}'] -= np.floor(slow * tickets * (1 - SLOW))
    series['rejected_total{reason="overloaded"}'] = refused
    night = np.arange(len(tickets)) % (7 * A_DAY)
    series['rejected_total{reason="unauthenticated"}'][(night >= 36) & (night < 48)] += 200 / 12  # Thursday, 3 to 4
    return series


@dataclass(frozen=True)
class Fault:
    """A fault with the expected alert, its severity, and the minutes until it must fire. `gauges`: series that do
    not count tickets, with their values before and after the fault."""

    name: str
    alert: str
    severity: str
    minutes: int
    change: Callable[[Counters, slice, np.random.Generator], None] = lambda _series, _when, _rng: None
    gauges: tuple[tuple[str, str, str], ...] = ()
    begin: int = BEGIN


def _move(source: str, target: str) -> Callable[[Counters, slice, np.random.Generator], None]:
    """All tickets of one outcome get another."""

    def change(series: Counters, when: slice, _rng: np.random.Generator) -> None:
        for name in [name for name in series if f'outcome="{source}"' in name]:
            other = name.replace(f'outcome="{source}"', f'outcome="{target}"')
            if other not in series:
                other = 'decisions_total{department="other",outcome="route"}'
            series[other][when] += series[name][when]
            series[name][when] = 0

    return change


def _double(series: Counters, when: slice, rng: np.random.Generator) -> None:
    for name in [name for name in series if 'department="billing"' in name]:
        more = rng.poisson(series[name][when])
        series[name][when] += more
        if outcome := re.search('outcome="([a-z]+)"', name):
            series[f'confidence_count{{outcome="{outcome[1]}"}}'][when] += more
            series[f'confidence_sum{{outcome="{outcome[1]}"}}'][when] += more * CONFIDENCE[0]


def _less_sure(series: Counters, when: slice, _rng: np.random.Generator) -> None:
    for outcome in OUTCOMES:
        series[f'confidence_sum{{outcome="{outcome}"}}'][when] -= (
            0.1 * series[f'confidence_count{{outcome="{outcome}"}}'][when]
        )


def _refuse(reason: str, share: float) -> Callable[[Counters, slice, np.random.Generator], None]:
    def change(series: Counters, when: slice, rng: np.random.Generator) -> None:
        sums = [name for name in series if name.startswith("confidence_sum")]
        means = {name: series[name] / np.maximum(series[name.replace("sum", "count")], 1) for name in sums}
        for name in [name for name in series if not name.startswith(("rejected", "confidence_sum"))]:
            gone = split(series[name][when], share, rng)
            if name.startswith("decisions"):
                series[f'rejected_total{{reason="{reason}"}}'][when] += gone
            series[name][when] -= gone
        for name, mean in means.items():
            series[name][when] = (mean * series[name.replace("sum", "count")])[when]

    return change


def _slow(series: Counters, when: slice, _rng: np.random.Generator) -> None:
    series['http_request_duration_seconds_bucket{route="/v1/route",le="0.5"}'][when] = 0


def _connections(series: Counters, when: slice, rng: np.random.Generator) -> None:
    series['rejected_total{reason="too_many_connections"}'][when] += rng.poisson(20, size=len(series["up"][when]))


READY, RELOADED = "ticket_router_ready", "ticket_router_model_last_reload_successful"
LOST, DUE = (
    'ticket_router_log_lines_lost_total{kind="other"}',
    'kube_cronjob_next_schedule_time{cronjob="ticket-router-retraining"}',
)
FAULTS = (
    Fault("everything is suggested", "TicketRouterAutomationFall", "page", 240, _move("route", "suggest")),
    Fault("nothing is left to people", "TicketRouterReviewFall", "ticket", 240, _move("review", "route")),
    Fault("one department doubled", "TicketRouterDepartmentShift", "ticket", 480, _double),
    Fault("confidence down by 0.1", "TicketRouterConfidenceShift", "ticket", 480, _less_sure),
    Fault("keys expired", "TicketRouterLockedOut", "page", 45, _refuse("unauthenticated", 1)),
    Fault("half is refused", "TicketRouterRefusing", "page", 120, _refuse("overloaded", 0.5)),
    Fault("slow at night", "TicketRouterLatencyBurn", "ticket", 480, _slow, begin=A_DAY - 24),
    Fault("pods gone in one namespace", "TicketRouterAbsent", "page", 15, gauges=((READY, "1", "stale _"),)),
    Fault("a reload was refused", "TicketRouterReloadFailed", "ticket", 10, gauges=((RELOADED, "1", "0"),)),
    Fault("log lines lost", "TicketRouterLogLinesLost", "ticket", 15, gauges=((LOST, "0", "9"),)),
    Fault("connections full", "TicketRouterConnectionsFull", "ticket", 30, _connections),
    Fault("CronJob not run", "TicketRouterRetrainingOverdue", "ticket", 120, gauges=((DUE, f"{BEGIN * STEP}", ""),)),
)


def series_of(namespace: str, found: Counters) -> Iterator[dict[str, str]]:
    for name, increases in found.items():
        metric, _, labels = name.partition("{")
        total = " ".join(f"{value:g}" if value < 1e6 else f"{value:.1f}" for value in np.cumsum(increases))
        own = f'namespace="{namespace}",job="ticket-router",instance="p"'
        yield {"series": f"ticket_router_{metric}{{{own},{labels or '}'}", "values": total}


def constant(namespace: str, name: str, before: str, after: str, begin: int, steps: int) -> dict[str, str]:
    metric, _, labels = name.partition("{")
    first, *rest = (after or before).split()
    values = f"{before}x{begin - 1} {first} {rest[0] if rest else first}x{steps - begin}"
    own = f'namespace="{namespace}",job="ticket-router",instance="p"'
    return {"series": f"{metric}{{{own},{labels or '}'}", "values": values}


def evaluate(series: list[dict[str, str]], query: str, minute: int, only: str) -> list[tuple[dict[str, str], float]]:
    """The result of a query after evaluating the rules up to that minute. `only`: the alerts of this severity."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_rules(Path(folder))
        if only:
            _keep(files, only)
        test = {"interval": "5m", "input_series": series}
        test["promql_expr_test"] = [
            {"expr": query, "eval_time": f"{minute}m", "exp_samples": [{"labels": "none", "value": 0}]}
        ]
        content = {"rule_files": files, "evaluation_interval": "5m", "tests": [test]}
        path = Path(folder) / "replay.json"
        path.write_text(json.dumps(content))
        run = subprocess.run([tool("promtool"), "test", "rules", str(path)], capture_output=True, text=True)
    output = run.stdout + run.stderr
    assert "got:" in output, output[-2000:]
    found = re.findall(r"(\{[^{}]*\}) ([-+0-9.E]+)", output[output.index("got:") :])
    return [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for labels, value in found]


def _keep(files: list[str], severity: str) -> None:
    """Only the alerts of this severity, and the recordings that they read."""
    kept = [rule for rule in rules("alert") if rule["labels"]["severity"] == severity]
    for record in reversed(rules("record")):
        if any(record["record"] in each["expr"] for each in kept):
            kept.insert(0, record)
    Path(files[0]).write_text(json.dumps({"groups": [{"name": "kept", "rules": kept}]}))
    Path(files[1]).write_text(json.dumps({"groups": []}))


def false_pages(per_week: float, weeks: int, seed: int) -> dict[str, int]:
    """How often each alert paged in the quarter."""
    steps = 7 * weeks * A_DAY
    series = [*series_of("n", quarter(per_week, weeks, seed)), constant("n", READY, "1", "1", 1, steps)]
    paging = 'ALERTS{severity="page",alertstate="firing"}'
    query = f"sum by (alertname) (sum_over_time(({paging} unless {paging} offset 5m)[{weeks}w:5m]))"
    return {labels["alertname"]: int(value) for labels, value in evaluate(series, query, 7 * weeks * 1440 - 5, "page")}


def alert_delays(per_week: float, seed: int) -> Iterator[tuple[Fault, dict[str, float]]]:
    """Each fault with the alert that fired, and the minutes until then."""
    steps = 2 * A_DAY
    series = []
    for number, fault in enumerate(FAULTS):
        rng = np.random.default_rng(seed + number)
        found = counters(mail(per_week, 2, rng, None), rng, DEPARTMENTS) | {"up": np.zeros(steps)}
        fault.change(found, slice(fault.begin, None), rng)
        del found["up"]
        series += series_of(f"f{number}", found)
        gauges = fault.gauges or ((READY, "1", "1"),)
        series += [constant(f"f{number}", *gauge, fault.begin, steps) for gauge in gauges]
    query = 'min by (namespace, alertname, severity) (min_over_time(timestamp(ALERTS{alertstate="firing"})[2d:5m]))'
    first = evaluate(series, query, 2 * 1440 - 5, "")
    for number, fault in enumerate(FAULTS):
        yield (
            fault,
            {
                f"{labels['alertname']} {labels['severity']}": (moment - fault.begin * STEP) / 60
                for labels, moment in first
                if labels.get("namespace") == f"f{number}"
            },
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-week", type=float, action="append", help="e-mails a week; 1e4 and 1e7 where absent")
    parser.add_argument("--weeks", type=int, default=13)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", action="store_true", help="the faults alone")
    given = parser.parse_args()
    fine = True
    for per_week in given.per_week or (1e4, 1e7):
        for fault, alerts in alert_delays(per_week, given.seed):
            minutes = alerts.get(f"{fault.alert} {fault.severity}", float("inf"))
            in_time = 0 <= minutes <= fault.minutes
            fine &= in_time
            verdict = "in time" if in_time else "NOT IN TIME"
            others = ", ".join(f"{name} {after:.0f}" for name, after in alerts.items() if fault.alert not in name)
            print(
                f"{per_week:>12,.0f}  {fault.name:<28} {fault.alert} ({fault.severity}): {minutes:.0f} min, "
                f"stated {fault.minutes}: {verdict}{'; also ' + others if others else ''}",
                flush=True,
            )
        if not given.faults:
            pages = false_pages(per_week, given.weeks, given.seed)
            print(f"{per_week:>12,.0f}  pages in {given.weeks} weeks: {sum(pages.values())} {pages or ''}", flush=True)
            fine &= sum(pages.values()) <= 1
    raise SystemExit(not fine)


if __name__ == "__main__":
    main()
