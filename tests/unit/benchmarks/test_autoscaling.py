"""The simulated autoscaler decides as Kubernetes documents it, and a simulated pod refuses and answers as a real
one."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.benchmarks.autoscaling.alternatives import fixed
from tests.benchmarks.autoscaling.cluster import BUSY, CPU, MINUTE, QUEUE, Cluster, Replay, Surroundings
from tests.benchmarks.autoscaling.hpa import Autoscaler, Readings, proposal, recommendation
from tests.benchmarks.autoscaling.pods import MAX_TOKENS, QUEUE_TOKENS, SPEEDS, Pod, Refusal, Speed
from tests.benchmarks.autoscaling.rule import Metric, Policy, Rule, Scaling, milli, read_rule
from tests.benchmarks.autoscaling.traffic import Event, day, drawn, peak_factor, usual_rate
from tests.support.process import ROOT

METRIC = Metric("waiting", 1000, resource=False)
CPU_METRIC = Metric("cpu", 700, resource=True)
AT_ONCE = Scaling(0, "Max", (Policy("Percent", 1000, 15),))
ALL_AT_ONCE = Scaling(0, "Max", (Policy("Percent", 100, 15),))
FREE = Rule(1, 100, (METRIC,), AT_ONCE, ALL_AT_ONCE)
ROUNDING = 1e-9
"""Kubernetes multiplies in floating point before it rounds up: 1.1 x 10 is 12."""
SIZING = (ROOT / "docs/sizing.md").read_text()
FACTOR = f"{peak_factor():.2f}"
SPEED = Speed(runners=2, ticket_seconds=0.01, token_seconds=0.0001)

values = st.lists(st.integers(0, 20_000), min_size=1, max_size=20).map(tuple)


def _steps(rule: Rule, asked: list[int], current: int, seconds: int = 15) -> list[int]:
    """Pods after each sync, when the metric asks for this many at each."""
    autoscaler, counts = Autoscaler(rule), []
    for number, pods in enumerate(asked):
        total = rule.metrics[0].target * pods
        readings = Readings((total,) + (0,) * (current - 1)) if current else Readings(())
        # one pod has the whole value, so that the mean times the pods is exact
        current = autoscaler.replicas(number * seconds, current, [readings])
        counts.append(current)
    return counts


@given(values)
def test_pods_are_the_ceiling_of_current_times_mean_over_target(known: tuple[int, ...]) -> None:
    """Ready pods with values: ceil(pods x mean ÷ target), unless the ratio is within a tenth of 1."""
    mean = sum(known) // len(known)
    assume(mean not in (900, 1100))  # at the exact limit the result depends on binary rounding
    within = 900 < mean < 1100
    assert proposal(len(known), Readings(known), METRIC) == (
        len(known) if within else math.ceil(len(known) * (mean / 1000))
    )


@given(values, st.integers(1, 5), st.sampled_from((METRIC, CPU_METRIC)))
def test_a_pod_without_a_value_only_reduces_the_step(known: tuple[int, ...], missing: int, metric: Metric) -> None:
    """Missing pods never change the direction, and never make the step larger than without them."""
    current = len(known) + missing
    wanted = proposal(current, Readings(known, missing=missing), metric)
    ratio = sum(known) // len(known) / metric.target
    assert wanted is not None
    assert (wanted >= current) if ratio > 1 else (wanted <= current)
    assert wanted <= max(current, math.ceil(ratio * current + ROUNDING))


@given(values, st.integers(1, 5))
def test_pods_that_have_not_started_count_as_idle_only_when_scaling_up(known: tuple[int, ...], unready: int) -> None:
    """While pods start, no further ones are added for the same load; when scaling down they don't count."""
    current, mean = len(known) + unready, sum(known) // len(known)
    wanted = proposal(current, Readings(known, unready=unready), METRIC)
    assert wanted is not None
    if mean > 1000:
        assert current <= wanted <= max(current, math.ceil(sum(known) / 1000 + ROUNDING))
    elif mean < 900:
        assert wanted == math.ceil(len(known) * (mean / 1000))


def test_no_pod_is_added_when_starting_pods_suffice() -> None:
    """2.15 times the target on one pod, with another one starting, is close enough; without the other it is three."""
    assert proposal(2, Readings((2150,), unready=1), METRIC) == 2
    assert proposal(1, Readings((2150,)), METRIC) == 3


def test_a_pod_without_cpu_value_counts_as_full_when_scaling_down() -> None:
    """Two pods at 20 % and two unknown are 240 % of one request: four pods at a target of 70 %; without them one."""
    assert proposal(4, Readings((200, 200), missing=2), CPU_METRIC) == 4
    assert proposal(2, Readings((200, 200)), CPU_METRIC) == 1


@given(st.integers(1, 20), st.lists(st.one_of(st.none(), st.integers(0, 40)), min_size=1, max_size=4))
def test_the_largest_metric_decides_and_a_missing_one_keeps_pods(current: int, proposals: list[int | None]) -> None:
    """With all metrics: the largest. With one missing: more pods if the others ask for more, never fewer."""
    known = [each for each in proposals if each is not None]
    got = recommendation(current, proposals)
    if len(known) == len(proposals) or (known and max(known) >= current):
        assert got == max(known)
    else:
        assert got is None


def test_pods_stay_when_no_metric_can_be_read() -> None:
    """Without a value nothing changes, and nothing is recorded."""
    autoscaler = Autoscaler(FREE)
    assert autoscaler.replicas(0, 7, [Readings((), missing=7)]) == 7


@given(st.lists(st.integers(0, 300), max_size=12))
def test_pods_stay_between_the_bounds(asked: list[int]) -> None:
    """Never fewer than minReplicas, never more than maxReplicas."""
    assert all(3 <= count <= 9 for count in _steps(replace(FREE, low=3, high=9), asked, 3))


def test_pods_are_removed_when_no_recommendation_in_the_window_needs_them() -> None:
    """When scaling down, the largest recommendation of the last 300 s counts."""
    rule = replace(FREE, down=replace(ALL_AT_ONCE, window=300))
    counts = _steps(rule, [8] + [2] * 25, current=2)
    assert counts[0] == 8
    assert counts.index(2) * 15 == 300


def test_pods_are_added_when_all_recommendations_in_the_window_need_them() -> None:
    """When scaling up, the smallest recommendation of the last 60 s counts, so that a short spike has no effect."""
    rule = replace(FREE, up=replace(AT_ONCE, window=60))
    assert _steps(rule, [2, 8, 8, 2, 8], current=2) == [2] * 5
    assert _steps(rule, [2, 8, 8, 8, 8], current=2)[-1] == 8


def test_policies_limit_the_change_in_a_period() -> None:
    """`Max` allows the largest step of any policy in each period, `Min` the smallest, `Disabled` none."""
    policies = (Policy("Percent", 100, 60), Policy("Pods", 4, 60))
    up = Scaling(0, "Max", policies)
    assert _steps(replace(FREE, up=up), [50] * 9, current=2) == [6, 6, 6, 6, 12, 12, 12, 12, 24]
    assert _steps(replace(FREE, up=replace(up, select="Min")), [50] * 5, current=2) == [4, 4, 4, 4, 8]
    assert _steps(replace(FREE, up=replace(up, select="Disabled")), [50] * 2, current=2) == [2, 2]
    down = Scaling(0, "Max", (Policy("Percent", 50, 60), Policy("Pods", 1, 60)))
    assert _steps(replace(FREE, down=down), [0] * 5, current=12) == [6, 6, 6, 6, 3]
    assert _steps(replace(FREE, down=replace(down, select="Min")), [0] * 5, current=12) == [11, 11, 11, 11, 10]


def test_the_simulated_rule_is_the_manifests() -> None:
    """The rule read from k8s/ has the queue, the busy share and CPU, and the window of five minutes."""
    rule = read_rule()
    assert [metric.name for metric in rule.metrics] == [QUEUE, BUSY, CPU]
    assert rule.down.window == 300
    assert 0 < rule.metrics[0].target < QUEUE_TOKENS * 1000
    assert (milli("600m"), milli("2048"), milli("2k")) == (600, 2_048_000, 2_000_000)


def test_a_pod_runs_as_many_tickets_at_once_as_it_has_runners() -> None:
    """The third of three tickets at once waits for the first to end."""
    pod = Pod(SPEED)
    one = SPEED.seconds(100)
    assert [pod.ask(0, 100) for _ in range(3)] == pytest.approx([one, one, 2 * one])


def test_a_pod_refuses_at_its_queue_limit() -> None:
    """Exactly when the queue's padded tokens reach the limit, with an estimate of the wait; and not after it has
    drained."""
    pod = Pod(SPEED, tokens=MAX_TOKENS)
    answers = [pod.ask(0, MAX_TOKENS) for _ in range(QUEUE_TOKENS // MAX_TOKENS + SPEED.runners)]
    assert not any(isinstance(answer, Refusal) for answer in answers)
    assert pod.queue_tokens(0) == QUEUE_TOKENS
    refusal = pod.ask(0, 1)
    assert isinstance(refusal, Refusal)
    assert refusal.retry_after == math.ceil(QUEUE_TOKENS / MAX_TOKENS / SPEED.capacity(MAX_TOKENS))
    assert pod.queue_tokens(pod.idle_from()) == 0
    assert not isinstance(pod.ask(pod.idle_from(), 1), Refusal)


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(1, MAX_TOKENS)), min_size=1, max_size=50))
def test_busy_seconds_are_the_runtime_of_answered_tickets(tickets: list[tuple[float, int]]) -> None:
    """A pod's counter never runs faster than time, never falls, and ends with the sum of all runs."""
    pod, seen = Pod(SPEED), 0.0
    for moment, tokens in sorted(tickets):
        pod.ask(moment, tokens)
        assert seen - 1e-9 <= pod.busy_seconds(moment) <= SPEED.runners * moment + 1e-9
        seen = pod.busy_seconds(moment)
    assert pod.busy_seconds(pod.idle_from()) == pytest.approx(sum(SPEED.seconds(tokens) for _, tokens in tickets))


def test_a_speed_reproduces_its_two_measured_points() -> None:
    """A saturated pod answers as many tickets of either length as was measured."""
    assert SPEEDS["int8"].capacity(15) == pytest.approx(825)
    assert SPEEDS["int8"].capacity(156) == pytest.approx(120)


def _half_hour(rate: float, rule: Rule, around: Surroundings = Surroundings(start=(30, 30))) -> Replay:  # noqa: B008
    return Cluster(rule, SPEED, around, seed=0).play(drawn(np.full(1800, rate), seed=0))


SHIPPED = read_rule()
ONE_POD = SPEED.capacity(151)


def test_scaling_by_queue_alone_removes_needed_pods() -> None:
    """Under a steady load of one and a half pods the queue alone adds pods, becomes empty, and removes them again,
    which delays tickets; the busy share keeps them."""
    rule = replace(SHIPPED, low=1)
    queue, both = (_half_hour(1.5 * ONE_POD, rule.only(names)) for names in ((QUEUE,), (QUEUE, BUSY)))
    settled = slice(600 // MINUTE, None)
    assert sum(queue.refusals[settled]) > 0
    assert sum(both.refusals[settled]) == 0
    assert min(sample.replicas for sample in both.samples[600 // 15 :]) >= 2


def test_cpu_still_adds_pods_without_custom_metrics() -> None:
    """Without the adapter pods are added by CPU, and none are removed."""
    around = Surroundings(start=(30, 30), custom_metrics=False)
    replay = _half_hour(3 * ONE_POD, replace(SHIPPED, low=1), around)
    counts = [sample.replicas for sample in replay.samples]
    assert counts == sorted(counts)
    assert counts[-1] >= 4


def test_every_ticket_is_in_time_late_or_lost() -> None:
    """Of a pod at twice its capacity, with clients that don't retry, half of the tickets are lost and as many were
    refused."""
    replay = _half_hour(2 * ONE_POD, fixed(1), Surroundings(attempts=1))
    assert replay.lost == replay.refusals
    assert sum(replay.lost) / sum(replay.tickets) == pytest.approx(0.5, abs=0.02)
    assert replay.pod_seconds == 1800


def test_the_same_seed_gives_the_same_day() -> None:
    """A simulation can be repeated exactly."""
    assert _half_hour(ONE_POD, SHIPPED) == _half_hour(ONE_POD, SHIPPED)


def test_a_week_has_the_requested_number_of_emails() -> None:
    """The expected e-mails of seven days add up, and an event adds its factor's share."""
    moments = np.arange(86_400, dtype=np.float64)
    week = sum(usual_rate(1e6, name, moments).sum() for name in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
    assert week == pytest.approx(1e6, rel=1e-3)
    quiet, eventful = day(1e4, 0, events=()), day(1e4, 0, events=(Event("x", 3600, 900, 10),))
    assert eventful.rate[3600] == pytest.approx(10 * quiet.rate[3600])
    assert (np.diff(eventful.moments) >= 0).all()


def test_the_sizing_guides_table_follows_from_its_formula() -> None:
    """The peak factor is that of the simulated week, and the first table follows from it."""
    assert re.findall(r"× (3\.\d+) =|factor (3\.\d+)\*\*", SIZING) == [("", FACTOR), (FACTOR, "")]
    rows = re.findall(r"^\| ([\d,]+|\d+ million) \| ([\d.]+) \| (\d+)", SIZING, re.MULTILINE)
    assert len(rows) == 4
    for week, rate, pods in rows:
        peak = float(week.replace(",", "").replace(" million", "e6")) / 604_800 * float(FACTOR)
        assert float(rate) == pytest.approx(peak, rel=0.01, abs=0.005)
        assert int(pods) == math.ceil(peak / (120 * 0.6))
