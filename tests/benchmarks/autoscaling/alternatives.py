"""The compared rules: the shipped one, simpler ones, and variations of its targets and behaviours.

`__main__.py` simulates them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.benchmarks.autoscaling.cluster import BUSY, CPU, QUEUE, Surroundings
from tests.benchmarks.autoscaling.rule import MILLI, PERCENT, Policy, Rule, Scaling

HALVING = Policy("Percent", 50, 60)
DOUBLING = Policy("Percent", 100, 15)

USUAL = Surroundings()


@dataclass(frozen=True, slots=True)
class Trial:
    name: str
    rule: Rule
    around: Surroundings = USUAL


def fixed(pods: int) -> Rule:
    """No autoscaler."""
    still = Scaling(0, "Disabled", ())
    return Rule(pods, pods, (), still, still)


def compared(rule: Rule) -> Iterator[Trial]:
    yield Trial("the rule that ships", rule)
    yield Trial("CPU alone", rule.only((CPU,)))
    yield Trial("queue tokens alone", rule.only((QUEUE,)))
    yield Trial("no custom metrics to be had", rule, Surroundings(custom_metrics=False))
    for pods in (2, 4, 6):
        yield Trial(f"always {pods} pods", fixed(pods))


def alternatives(rule: Rule) -> Iterator[Trial]:
    yield Trial("the rule that ships", rule)
    yield from _targets(rule)
    yield from _behaviours(rule)
    yield from _surroundings(rule)


def _targets(rule: Rule) -> Iterator[Trial]:
    yield Trial("without the busy share", rule.only((QUEUE, CPU)))
    yield Trial("without CPU", rule.only((QUEUE, BUSY)))
    yield Trial("without queue tokens", rule.only((BUSY, CPU)))
    for tokens in (512, 1024, 2048, 4096, 8192):
        yield Trial(f"queue tokens {tokens}", rule.aiming(**{QUEUE: tokens * MILLI}))
    for percent in (40, 50, 60, 70, 80):
        busy = rule.only((QUEUE, BUSY)).aiming(**{BUSY: percent * PERCENT})
        yield Trial(f"queue tokens and busy share {percent} %", busy)
    for percent in (40, 50, 60, 70, 80):
        yield Trial(f"CPU alone, {percent} %", rule.only((CPU,)).aiming(**{CPU: percent * PERCENT}))
    for tokens in (512, 2048, 8192):
        yield Trial(f"queue tokens alone, {tokens}", rule.only((QUEUE,)).aiming(**{QUEUE: tokens * MILLI}))


def _behaviours(rule: Rule) -> Iterator[Trial]:
    for seconds in (0, 60, 600):
        yield Trial(f"down: window {seconds} s", replace(rule, down=Scaling(seconds, "Max", (HALVING,))))
    yield Trial("down: all at once", replace(rule, down=Scaling(300, "Max", (DOUBLING,))))
    yield Trial("down: one pod a minute", replace(rule, down=Scaling(300, "Max", (Policy("Pods", 1, 60),))))
    yield Trial("up: doubling only", replace(rule, up=Scaling(0, "Max", (DOUBLING,))))
    yield Trial("up: window 30 s", replace(rule, up=replace(rule.up, window=30)))
    yield Trial("three pods at least", replace(rule, low=3))


def _surroundings(rule: Rule) -> Iterator[Trial]:
    yield Trial("clients that don't come again", rule, Surroundings(attempts=1))
    yield Trial("clients that come again four times", rule, Surroundings(attempts=5))
    yield Trial("pods start in 2 to 4 minutes", rule, Surroundings(start=(120, 240)))
    yield Trial("scraped every 30 s", rule, Surroundings(scrape=30))
