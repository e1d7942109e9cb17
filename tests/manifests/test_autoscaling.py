"""prometheus-adapter's rules make the metrics that the autoscaler reads, of series that the service has.

That Prometheus answers these queries is tried with a real one in tests/monitoring.
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
    """Every series of docs/observe.md, which a test holds to the service's; a histogram's sum and count among them."""
    rows = re.findall(rf"^\| `({SERIES})` \| (\w+) \|", REFERENCE, re.MULTILINE)
    parts = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
    return {name + part for name, kind in rows for part in parts.get(kind, ("",))}


def test_the_adapter_makes_the_metrics_that_the_autoscaler_reads() -> None:
    """No other, and none is missing; and its comment says how to look at each."""
    metrics = render(FOLDERS["cpu"]).one("HorizontalPodAutoscaler", "ticket-router")["spec"]["metrics"]
    read = [metric["pods"]["metric"]["name"] for metric in metrics if metric["type"] == "Pods"]
    assert [rule["name"]["as"] for rule in RULES] == read
    assert re.findall(r"/pods/\*/(\w+)", VALUES) == read


def test_the_adapter_asks_for_series_that_the_service_has() -> None:
    """A misspelt one would be a metric that is never there, and pods that are never taken away."""
    asked = [text for rule in RULES for text in (rule["seriesQuery"], rule["metricsQuery"])]
    assert {name for text in asked for name in re.findall(SERIES, text)} <= _series()
    assert {stage for text in asked for stage in re.findall(r'stage="(\w+)"', text)} <= set(STAGES)
