"""A real Prometheus on loopback: Debian's, scraping and evaluating every second."""

import contextlib
import json
import math
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.monitoring.rules import relabelings, tool, write_rules
from tests.support.waiting import wait_until

NAMESPACE = "test"
USUAL = {
    "decisions:rate_usual": "decisions:rate2h",
    "decisions:ratio_usual": "decisions:ratio_rate2h",
    "predictions:rate_usual": "predictions:rate6h",
    "predictions:ratio_usual": "predictions:ratio_rate6h",
    "confidence:mean_usual": "confidence:mean_rate6h",
}
"""Recordings over days, which a test does not have."""
WINDOWS = {"$__rate_interval": "10s", "$__range": "1m"}
VARIABLES = {"$namespace": ".*", "$job": ".*", "$instance": ".*"}
"""Grafana's value for "All"."""


@dataclass(frozen=True)
class Prometheus:
    client: httpx.Client

    def ask(self, query: str) -> list[float]:
        """The values of an instant query now, without those that are no number."""
        values = [float(series["value"][1]) for series in self._series(query)]
        return [value for value in values if not math.isnan(value)]

    def labels(self, query: str, name: str) -> set[str]:
        """The values of this label in the result of an instant query now."""
        return {series["metric"].get(name, "") for series in self._series(query)}

    def _series(self, query: str) -> list[dict[str, Any]]:
        answer = self.client.get("/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", (query, answer)
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    def over(self, query: str, start: float, end: float) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """The series of a range query, a point each second: labels, and times with values."""
        parameters = {"query": query, "start": start, "end": end, "step": 1}
        answer = self.client.get("/api/v1/query_range", params=parameters).json()
        assert answer["status"] == "success", (query, answer)
        return [
            (series["metric"], [(float(moment), float(value)) for moment, value in series["values"]])
            for series in answer["data"]["result"]
        ]

    def rules(self) -> list[dict[str, Any]]:
        """Every rule in its current state; `health` says whether it can be evaluated."""
        groups = self.client.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def alert_state(self, name: str) -> str | None:
        """`pending` or `firing`; None: neither."""
        alerts = self.client.get("/api/v1/alerts").json()["data"]["alerts"]
        return next((alert["state"] for alert in alerts if alert["labels"]["alertname"] == name), None)


def as_grafana_asks(query: str) -> str:
    """A dashboard's query with its variables replaced."""
    for name, value in (WINDOWS | VARIABLES).items():
        query = query.replace(name, value)
    return query


def always_with_data(query: str) -> str:
    """An alert's query changed so that it returns data also when nothing is wrong.

    Comparisons return 0 or 1 instead of filtering; `unless` becomes `and`; offsets become a second, and recordings over
    days become those over hours.
    """
    for usual, now in USUAL.items():
        query = query.replace(usual, now)
    query = re.sub(r"(?<=\s)(==|>=|<=|>|<) (?!bool)", r"\1 bool ", query)
    query = re.sub(r"\bunless\b(?! on \(namespace, job\) ALERTS)", "and", query)
    query = re.sub(r"\bunless on \(namespace, job\) ALERTS.*", "", query)
    return re.sub(r"offset (1[wdh]|2d)", "offset 1s", re.sub(r">= (100|300) / \d+", ">= bool 0", query))


@contextlib.contextmanager
def prometheus(
    folder: Path, pods: Mapping[str, str], kube_state: str, rule_files: list[str] | None = None
) -> Iterator[Prometheus]:
    """Scrapes these pods and a kube-state-metrics, `host:port`, under the committed rules or those of other files,
    until the end of the block."""
    config = folder / "prometheus.json"
    config.write_text(json.dumps(_config(rule_files or write_rules(folder), pods, kube_state)))
    command = [tool("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with running(command, folder) as found:
        yield found


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[Prometheus]:
    """The Prometheus that this command starts, on its own port."""
    port = _free_port()
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                wait_until(lambda: _is_ready(client), seconds=60)
                yield Prometheus(client)
        finally:
            process.kill()
            process.wait()


def _config(rule_files: list[str], pods: Mapping[str, str], kube_state: str) -> dict[str, Any]:
    """With the labels that the operator adds to the targets of a ServiceMonitor."""
    scraped = [
        {"targets": [address], "labels": {"namespace": NAMESPACE, "pod": name, "__meta_kubernetes_pod_name": name}}
        for name, address in pods.items()
    ]
    job = {"job_name": "ticket-router", "static_configs": scraped, "relabel_configs": relabelings()}
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": rule_files,
        "scrape_configs": [
            job,
            {
                "job_name": "kube-state-metrics",
                "honor_labels": True,
                "static_configs": [{"targets": [kube_state]}],
            },
        ],
    }


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
