"""prometheus-adapter's rules produce the metrics that the autoscaler reads, from series that the service has.

tests/monitoring sends these queries to a real Prometheus.
"""

import re

import yaml

from service.metrics.metrics import STAGES
from tests.manifests.render import FOLDERS, ROOT, render

VALUES = (ROOT / "k8s/components/autoscaling/adapter-values.yaml").read_text()
RULES = yaml.safe_load(VALUES)["rules"]["custom"]
REFERENCE = (ROOT / "docs/observe.md").read_text()
SERIES = r"\bticket_router_[a-z_]+\b"


def _series() -> set[str]:
    """Every series of docs/observe.md, which another test compares with the service's; with sum and count of
    histograms."""
    rows = re.findall(rf"^\| `({SERIES})` \| (\w+) \|", REFERENCE, re.MULTILINE)
    parts = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
    return {name + part for name, kind in rows for part in parts.get(kind, ("",))}


def test_the_adapter_produces_exactly_the_autoscalers_metrics() -> None:
    """And the rule's comment says how to look at each."""
    metrics = render(FOLDERS["cpu"]).one("HorizontalPodAutoscaler", "ticket-router")["spec"]["metrics"]
    read = [metric["pods"]["metric"]["name"] for metric in metrics if metric["type"] == "Pods"]
    assert [rule["name"]["as"] for rule in RULES] == read
    assert re.findall(r"/pods/\*/(\w+)", VALUES) == read


def test_the_adapter_queries_series_that_the_service_has() -> None:
    """With a misspelt one the metric would never exist, and pods would never be removed."""
    asked = [text for rule in RULES for text in (rule["seriesQuery"], rule["metricsQuery"])]
    assert {name for text in asked for name in re.findall(SERIES, text)} <= _series()
    assert {stage for text in asked for stage in re.findall(r'stage="(\w+)"', text)} <= set(STAGES)
