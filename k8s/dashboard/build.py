"""Rows and variables → the dashboard's JSON. `__main__.py` writes it; tests ask every query of a real Prometheus."""

import itertools
import json
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    GridPos,
    Panel,
    RowPanel,
    VariableOption,
    VariableRefresh,
)

from k8s.dashboard.charts import SOURCE, Chart, Row
from k8s.dashboard.inside import MODEL, PROCESS, QUEUE, STAGES
from k8s.dashboard.outside import DECISIONS, SERVICE_LEVELS, TRAFFIC

FILE = Path(__file__).resolve().parents[1] / "components" / "monitoring" / "dashboard.json"
COLUMNS = 24
ROWS = (SERVICE_LEVELS, TRAFFIC, DECISIONS, STAGES, QUEUE, MODEL, PROCESS)
"""From the most urgent to the most particular."""


def dashboard_json() -> str:
    return json.dumps(build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def build() -> Dashboard:
    made = dashboard.Dashboard("Ticket router").uid("ticket-router").tags(["ticket-router"])
    made.description("Service levels, traffic, decisions, model and process. What to do: docs/runbook.md.")
    made.time("now-6h", "now").refresh("1m").timezone("browser").readonly().tooltip(DashboardCursorSync.CROSSHAIR)
    made.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    made.with_variable(_variable("namespace", "label_values(ticket_router_ready, namespace)"))
    made.with_variable(_variable("job", 'label_values(ticket_router_ready{namespace=~"$namespace"}, job)'))
    pods = 'label_values(ticket_router_ready{namespace=~"$namespace", job=~"$job"}, instance)'
    made.with_variable(_variable("instance", pods))
    built = made.build()
    built.panels = _placed()
    return built


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    """Several may be chosen. All of them is `.*` and not a list: what has no such label is among them."""
    variable = dashboard.QueryVariable(name).label(name.capitalize()).query(query).datasource(SOURCE)
    variable.current(VariableOption(text=["All"], value=["$__all"], selected=True))
    return variable.multi(True).include_all(True).all_value(".*").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


def _placed() -> list[Panel | RowPanel]:
    """Rows from top to bottom; in each, charts from left to right, and on a new line where the width is full."""
    numbers, y = itertools.count(1), 0
    placed: list[Panel | RowPanel] = []
    for row in ROWS:
        placed.append(RowPanel(id_val=next(numbers), title=row.title, grid_pos=GridPos(h=1, w=COLUMNS, x=0, y=y)))
        y += 1
        for line in _lines(row):
            panels = [chart.panel(next(numbers)) for chart in line]
            y += _set_side_by_side(panels, y)
            placed += panels
    return placed


def _lines(row: Row) -> list[list[Chart]]:
    lines: list[list[Chart]] = [[]]
    for chart in row.charts:
        if sum(each.width for each in lines[-1]) + chart.width > COLUMNS:
            lines.append([])
        lines[-1].append(chart)
    return lines


def _set_side_by_side(panels: list[Panel], y: int) -> int:
    """Returns the height of the line."""
    x, height = 0, 0
    for panel in panels:
        assert panel.grid_pos is not None
        panel.grid_pos.x, panel.grid_pos.y = x, y
        x, height = x + panel.grid_pos.w, max(height, panel.grid_pos.h)
    return height
