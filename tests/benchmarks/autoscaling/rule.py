"""The autoscaler's rule as values, read from the manifest that Kubernetes is given.

`hpa.py` applies it. Quantities are kept as Kubernetes compares them: integers, in thousandths.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

MANIFEST = Path(__file__).resolve().parents[3] / "k8s/components/autoscaling/hpa.yaml"
MILLI = 1000
PERCENT = MILLI // 100
_SUFFIXES = {"m": 1, "k": MILLI * 1000, "Ki": MILLI * 1024}


@dataclass(frozen=True, slots=True)
class Metric:
    """`target`: the intended value per pod, in thousandths. `resource`: a share of the pod's request, so that pods
    that have just started don't count yet."""

    name: str
    target: int
    resource: bool


@dataclass(frozen=True, slots=True)
class Policy:
    kind: Literal["Pods", "Percent"]
    value: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Scaling:
    """One direction's behaviour. `window`: seconds of past recommendations that a new one must agree with."""

    window: int
    select: Literal["Max", "Min", "Disabled"]
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    low: int
    high: int
    metrics: tuple[Metric, ...]
    up: Scaling
    down: Scaling

    def only(self, names: Collection[str]) -> "Rule":
        """The same rule with only these metrics."""
        return replace(self, metrics=tuple(metric for metric in self.metrics if metric.name in names))

    def aiming(self, **targets: int) -> "Rule":
        """The same rule with other targets, in thousandths, by the metric's name."""
        metrics = (replace(metric, target=targets.get(metric.name, metric.target)) for metric in self.metrics)
        return replace(self, metrics=tuple(metrics))


def read_rule(path: Path = MANIFEST) -> Rule:
    """The rule of a manifest that leaves nothing to Kubernetes' defaults."""
    spec = yaml.safe_load(path.read_text())["spec"]
    behaviour = spec["behavior"]
    return Rule(
        spec["minReplicas"],
        spec["maxReplicas"],
        tuple(_metric(each) for each in spec["metrics"]),
        _scaling(behaviour["scaleUp"]),
        _scaling(behaviour["scaleDown"]),
    )


def milli(quantity: str) -> int:
    """A Kubernetes quantity in thousandths: "600m" is 600, "2048" is 2,048,000."""
    digits = quantity.rstrip("Kimk")
    return int(digits) * _SUFFIXES.get(quantity[len(digits) :], MILLI)


def _metric(entry: Mapping[str, Any]) -> Metric:
    if entry["type"] == "Resource":
        resource = entry["resource"]
        return Metric(resource["name"], resource["target"]["averageUtilization"] * PERCENT, resource=True)
    pods = entry["pods"]
    return Metric(pods["metric"]["name"], milli(str(pods["target"]["averageValue"])), resource=False)


def _scaling(entry: Mapping[str, Any]) -> Scaling:
    policies = tuple(Policy(each["type"], each["value"], each["periodSeconds"]) for each in entry["policies"])
    return Scaling(entry["stabilizationWindowSeconds"], entry["selectPolicy"], policies)
