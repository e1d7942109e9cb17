"""The committed rules as Prometheus and promtool take them: the `.spec` of each PrometheusRule, and what is in it."""

import functools
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.cases.case import Case
from tests.support.process import ROOT

FOLDER = ROOT / "k8s" / "components" / "monitoring"
FILES = ("rules.yaml", "service-levels.yaml")


def tool(name: str) -> str:
    """Where `prometheus` or `promtool` is. Without them these tests fail: nothing else shows that an alert works."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not on the PATH: apt-get install --no-install-recommends prometheus (Debian's package)")
    return found


@functools.cache
def specs() -> tuple[dict[str, Any], ...]:
    return tuple(yaml.safe_load((FOLDER / name).read_text())["spec"] for name in FILES)


def rules(kind: str) -> list[dict[str, Any]]:
    """Every `alert` or every `record`."""
    return [rule for spec in specs() for group in spec["groups"] for rule in group["rules"] if kind in rule]


def alert_names() -> list[str]:
    return sorted({rule["alert"] for rule in rules("alert")})


def relabelings() -> list[dict[str, Any]]:
    """The ServiceMonitor's, as the operator writes them into Prometheus' own configuration."""
    (endpoint,) = yaml.safe_load((FOLDER / "servicemonitor.yaml").read_text())["spec"]["endpoints"]
    return [
        {"source_labels": each["sourceLabels"], "target_label": each["targetLabel"]} for each in endpoint["relabelings"]
    ]


def write_rules(folder: Path) -> list[str]:
    """The rules as files of Prometheus' own; JSON is YAML."""
    paths = [folder / name for name in FILES]
    for path, spec in zip(paths, specs(), strict=True):
        path.write_text(json.dumps(spec))
    return [str(path) for path in paths]


def rules_of(alert: str) -> list[dict[str, Any]]:
    """One alert's rules and the recordings they read: promtool evaluates all it gets, each minute of a week."""
    needed = [rule for rule in rules("alert") if rule["alert"] == alert]
    for record in reversed(rules("record")):  # a recording stands before the rules that read it
        if any(record["record"] in each["expr"] for each in needed):
            needed.insert(0, record)
    return needed


def unit_test(case: Case, alerts: Sequence[str]) -> dict[str, Any]:
    """A promtool test: each of the alerts does as the case says."""
    only = f", {case.only}" if case.only else ""
    moments = [(minute, 1) for minute in case.fires] + [(minute, 0) for minute in case.quiet]
    return {
        "name": case.name,
        "interval": f"{case.every}m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [
            {
                # promtool names no test that fails: the label does
                "expr": f'label_replace((count(ALERTS{{alertname="{alert}", alertstate="firing"{only}}}) > bool 0)'
                f' or vector(0), "case", "{case.why}", "", "")',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": f'{{case="{case.why}"}}', "value": value}],
            }
            for alert in alerts
            for minute, value in moments
        ],
    }


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, timeout=600)
