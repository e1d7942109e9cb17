"""Pods, their autoscaler and a day of traffic: who answers what, and how many pods there are when.

Tickets are exact events; scrapes, the autoscaler and the pods' coming and going happen on full seconds. A ticket goes
to any ready pod at random, as with kube-proxy and many clients. `figures.py` says what came of it.
"""

import random
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks.autoscaling.hpa import Autoscaler, Readings
from tests.benchmarks.autoscaling.pods import Pod, Refusal, Speed
from tests.benchmarks.autoscaling.rule import MILLI, Metric, Rule
from tests.benchmarks.autoscaling.traffic import Day, mean_tokens

MINUTE = 60
PROMISE_SECONDS = 0.5
CPU_PER_BUSY_SECOND = 0.95
"""CPU seconds of a pod for a second that one of its runners is busy: 15.9 ms a ticket at 120 tickets/s on two cores
(docs/results.md). The request is one core a runner."""
QUEUE, BUSY, CPU = "ticket_router_queue_tokens", "ticket_router_busy_share", "cpu"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a cluster takes its time for, in seconds, and what clients do.

    Args:
        start: least and most from the decision for a pod until its container runs: scheduling and pulling the image.
        ready: from then until it takes tickets (docs/results.md).
        scrape, sync: how often Prometheus reads the pods, and how often the autoscaler decides.
        query_lag, cpu_lag: age of the newest value that the autoscaler can get, of a custom metric and of CPU.
        rate_window: of the busy share, as in the adapter's rule.
        stop: a pod that is taken away still costs so long (preStop), and answers what it took.
        attempts: how often a client sends a ticket that is refused. It waits as Retry-After says and up to half as long
            again, and twice as long each time. A ticket that is refused every time is lost.
        custom_metrics: whether the autoscaler can get them.
    """

    start: tuple[float, float] = (20.0, 60.0)
    ready: float = 2.5
    scrape: int = 15
    sync: int = 15
    query_lag: int = 1
    cpu_lag: int = 15
    rate_window: int = 60
    stop: float = 10.0
    attempts: int = 8
    custom_metrics: bool = True


@dataclass(frozen=True, slots=True)
class Scrape:
    moment: int
    queue_tokens: int
    busy_seconds: float


@dataclass(slots=True)
class Member:
    """A pod with its moments in seconds: `created`, its container `started`, and `ready`."""

    pod: Pod
    created: float
    started: float
    ready: float
    scrape_offset: int
    scrapes: deque[Scrape] = field(default_factory=lambda: deque(maxlen=8))

    def value(self, name: str, now: int, around: Surroundings, runners: int) -> int | None:
        """A metric's value in thousandths, as it can be read now."""
        if name != CPU and not around.custom_metrics:
            return None
        lag = around.cpu_lag if name == CPU else around.query_lag
        seen = [scrape for scrape in self.scrapes if scrape.moment <= now - lag]
        if name == QUEUE:
            return MILLI * seen[-1].queue_tokens if seen else None
        window = around.scrape if name == CPU else around.rate_window - around.scrape
        seen = seen[-1 - window // around.scrape :]
        if len(seen) < 2:
            return None
        share = (seen[-1].busy_seconds - seen[0].busy_seconds) / (seen[-1].moment - seen[0].moment) / runners
        return round(MILLI * share * (CPU_PER_BUSY_SECOND if name == CPU else 1))


@dataclass(frozen=True, slots=True)
class Sample:
    """The cluster at a moment. `queue_tokens`: per ready pod."""

    moment: int
    replicas: int
    ready: int
    queue_tokens: float


@dataclass(slots=True)
class Replay:
    """What happened. Lists by minute in which a ticket was first sent: tickets, those answered in time, 429s, and
    those never answered."""

    tickets: list[int]
    in_time: list[int]
    refusals: list[int]
    lost: list[int]
    samples: list[Sample] = field(default_factory=list)
    pod_seconds: float = 0.0
    most_pods: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Retry:
    moment: float
    first_sent: float
    tokens: int
    attempt: int


class Cluster:
    """One replay of one day."""

    def __init__(self, rule: Rule, speed: Speed, around: Surroundings, seed: int) -> None:
        self._rule, self._speed, self._around = rule, speed, around
        self._random = random.Random(seed)
        self._autoscaler = Autoscaler(rule)
        self._retries: defaultdict[int, list[Retry]] = defaultdict(list)
        self._members = [self._member(-around.start[1], at_once=True) for _ in range(rule.low)]

    def play(self, day: Day) -> Replay:
        seconds = len(day.rate)
        minutes = -(-seconds // MINUTE)
        self._replay = Replay(*([0] * minutes for _ in range(4)))
        moments, tokens, position = day.moments.tolist(), day.tokens.tolist(), 0
        for second in range(seconds):
            begin = position
            while position < len(moments) and moments[position] < second + 1:
                position += 1
            self._second(second, moments[begin:position], tokens[begin:position])
        self._replay.pod_seconds += sum(seconds - max(0.0, member.created) for member in self._members)
        return self._replay

    def _second(self, second: int, moments: Sequence[float], tokens: Sequence[int]) -> None:
        self._ready = [member.pod for member in self._members if member.ready <= second]
        self._replay.tickets[second // MINUTE] += len(moments)
        if due := self._retries.pop(second, None):
            fresh = [Retry(moment, moment, length, 1) for moment, length in zip(moments, tokens, strict=True)]
            for retry in sorted(due + fresh):
                self._send(retry.moment, retry.first_sent, retry.tokens, retry.attempt)
        else:
            for moment, length in zip(moments, tokens, strict=True):
                self._send(moment, moment, length, 1)
        self._observe(second + 1)

    def _send(self, now: float, first_sent: float, tokens: int, attempt: int) -> None:
        pod = self._ready[int(self._random.random() * len(self._ready))]
        answer = pod.ask(now, tokens)
        minute = int(first_sent) // MINUTE
        if not isinstance(answer, Refusal):
            self._replay.in_time[minute] += answer - first_sent <= PROMISE_SECONDS
            return
        self._replay.refusals[minute] += 1
        if attempt == self._around.attempts:
            self._replay.lost[minute] += 1
            return
        again = now + answer.retry_after * self._random.uniform(1, 1.5) * 2 ** (attempt - 1)
        self._retries[int(again)].append(Retry(again, first_sent, tokens, attempt + 1))

    def _observe(self, now: int) -> None:
        for member in self._members:
            if now % self._around.scrape == member.scrape_offset and member.ready <= now:
                member.scrapes.append(Scrape(now, member.pod.queue_tokens(now), member.pod.busy_seconds(now)))
        if now % self._around.sync == 0:
            wanted = self._autoscaler.replicas(
                now, len(self._members), [self._read(m, now) for m in self._rule.metrics]
            )
            self._scale(now, wanted)
            waiting = sum(pod.queue_tokens(now) for pod in self._ready)
            self._replay.samples.append(Sample(now, wanted, len(self._ready), waiting / len(self._ready)))

    def _read(self, metric: Metric, now: int) -> Readings:
        running = [member for member in self._members if member.started <= now]
        values = [member.value(metric.name, now, self._around, self._speed.runners) for member in running]
        known = tuple(value for value in values if value is not None)
        unknown, pending = len(running) - len(known), len(self._members) - len(running)
        # Of CPU, a pod's first window doesn't count: it has just started.
        return Readings(known, 0, pending + unknown) if metric.resource else Readings(known, unknown, pending)

    def _scale(self, now: int, wanted: int) -> None:
        self._replay.most_pods = max(self._replay.most_pods, wanted)
        self._members += [self._member(now) for _ in range(wanted - len(self._members))]
        # Kubernetes takes those first that aren't ready yet, then the youngest.
        for member in self._members[wanted:]:
            self._replay.pod_seconds += max(now + self._around.stop, member.pod.idle_from()) - max(0.0, member.created)
        del self._members[wanted:]

    def _member(self, now: float, *, at_once: bool = False) -> Member:
        started = now if at_once else now + self._random.uniform(*self._around.start)
        ready = started + self._around.ready
        offset = self._random.randrange(self._around.scrape)
        return Member(Pod(self._speed, ready, mean_tokens()), now, started, ready, offset)
