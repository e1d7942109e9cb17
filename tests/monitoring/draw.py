"""Draws the result of each panel's query, so that a person can look at the whole dashboard without Grafana."""

import time
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.monitoring.prometheus import Prometheus, as_grafana_asks

COLUMNS = 4
SECONDS = 60
"""The time range in the picture."""


def draw(panels: list[dict[str, Any]], prometheus: Prometheus, path: Path) -> dict[str, int]:
    """A picture of all panels, and the number of curves, rows or figures of each."""
    rows = -(-len(panels) // COLUMNS)
    found: dict[str, int] = {}
    with matplotlib.rc_context({"font.size": 6}):
        picture = Figure((4 * COLUMNS, 2.2 * rows), layout="constrained")
        panels = sorted(panels, key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"]))
        for axes, panel in zip(picture.subplots(rows, COLUMNS).flat, panels, strict=False):
            axes.set_title(f"{panel['title']} [{panel['fieldConfig']['defaults']['unit']}]", fontsize=7)
            found[panel["title"]] = sum(
                _draw_target(axes, panel["type"], target, prometheus) for target in panel["targets"]
            )
            if panel["type"] == "timeseries" and found[panel["title"]]:
                axes.legend(fontsize=5, loc="upper left")
        picture.savefig(path, dpi=110)
    return found


def _draw_target(axes: Axes, kind: str, target: dict[str, Any], prometheus: Prometheus) -> int:
    now, query = time.time(), as_grafana_asks(target["expr"])
    series = prometheus.over(query, now - SECONDS, now)
    for number, (labels, points) in enumerate(series):
        legend = target["legendFormat"] or ""
        for name, value in labels.items():
            legend = legend.replace("{{" + name + "}}", value)
        if kind == "timeseries":
            axes.plot([moment - now for moment, _ in points], [value for _, value in points], label=legend or "?")
        else:
            text = (
                f"{points[-1][1]:.4g} {legend}" if kind == "stat" else "\n".join(f"{k}: {v}" for k, v in labels.items())
            )
            axes.text(0.02 + 0.5 * (number % 2), 0.95, text, va="top", fontsize=12 if kind == "stat" else 5)
            axes.axis("off")
    return len(series)
