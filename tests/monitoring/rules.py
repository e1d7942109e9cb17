"""The committed rules as Prometheus and promtool take them: the `.spec` of each PrometheusRule."""

import functools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.process import ROOT

FOLDER = ROOT / "k8s" / "components" / "monitoring"
FILES = ("rules.yaml", "service-levels.yaml")


def tool(name: str) -> str:
    """The path of `prometheus` or `promtool`. Without them these tests fail: nothing else shows that an alert works."""
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
    """The ServiceMonitor's relabelings, as the operator writes them into Prometheus' own configuration."""
    (endpoint,) = yaml.safe_load((FOLDER / "servicemonitor.yaml").read_text())["spec"]["endpoints"]
    return [
        {"source_labels": each["sourceLabels"], "target_label": each["targetLabel"]} for each in endpoint["relabelings"]
    ]


def write_rules(folder: Path) -> list[str]:
    """The rules as Prometheus' own files; JSON is YAML."""
    paths = [folder / name for name in FILES]
    for path, spec in zip(paths, specs(), strict=True):
        path.write_text(json.dumps(spec))
    return [str(path) for path in paths]


def write_rules_of(folder: Path, alert: str) -> str:
    """One alert's rules and the recordings they read, since promtool evaluates all its rules for each minute of a
    week."""
    needed = [rule for rule in rules("alert") if rule["alert"] == alert]
    for record in reversed(rules("record")):  # a recording stands before the rules that read it
        if any(record["record"] in each["expr"] for each in needed):
            needed.insert(0, record)
    path = folder / f"{alert}.rules.json"
    path.write_text(json.dumps({"groups": [{"name": alert, "rules": needed}]}))
    return str(path)


def promtool(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, timeout=280)
