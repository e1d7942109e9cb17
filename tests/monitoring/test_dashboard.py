"""The committed dashboard: valid, stable, readable, and only with metrics that exist."""

import itertools
import json
import re
from typing import Any

import pytest

from tests.monitoring.rules import FOLDER, rules
from tests.support.process import ROOT

FILE = FOLDER / "dashboard.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
COLUMNS = 24
"""Width of Grafana's grid."""
UNITS = {"bool_yes_no", "bytes", "cps", "none", "percentunit", "reqps", "s", "short"}
CLUSTER = re.compile(r"kube_\w+\{[^}]*namespace=~\"\$namespace\"\}")
"""kube-state-metrics has a job of its own."""
"""Grafana's own names; it shows an unknown one as text behind the number."""
METRIC = re.compile(r"\b(?:ticket_router|process)_\w+|\bjob\w*:\w+:\w+")
OF_A_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))


def test_the_file_is_formatted() -> None:
    """A change then shows as a small diff: `python -m json.tool --sort-keys --indent 2 FILE FILE`."""
    assert FILE.read_text() == json.dumps(DASHBOARD, indent=2, sort_keys=True) + "\n"


def test_it_replaces_the_one_that_is_installed() -> None:
    """Grafana knows a dashboard by its uid; an `id` is of one installation, and another would refuse it."""
    assert DASHBOARD["uid"] == "ticket-router"
    assert DASHBOARD.get("id") is None


def test_no_two_panels_share_an_id_or_a_place() -> None:
    """Ids are unique, nothing overlaps, nothing sticks out of the grid."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken = [cell for panel in DASHBOARD["panels"] for cell in cells(panel)]
    assert len(set(taken)) == len(taken)
    assert all(0 <= x < COLUMNS for x, _ in taken)


def test_every_metric_of_the_dashboard_exists() -> None:
    """It is in docs/observe.md, which holds what is scraped and nothing else, or is a recording rule."""
    documented = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "observe.md").read_text(), re.MULTILINE))
    known = documented | {rule["record"] for rule in rules("record")}
    used = {name for panel in PANELS for target in panel["targets"] for name in METRIC.findall(target["expr"])}
    assert {name for name in used if not {name, OF_A_HISTOGRAM.sub("", name)} & known} == set()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_can_be_read_without_asking(panel: dict[str, Any]) -> None:
    """It says what it shows, in which unit, and names its curves."""
    unit = panel["fieldConfig"]["defaults"]["unit"]
    assert unit in UNITS or unit.startswith("suffix:")
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert panel["type"] == "table" or all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_follows_the_variables(panel: dict[str, Any]) -> None:
    """Datasource, namespace and job are the ones chosen above."""
    assert panel["datasource"]["uid"] == "${datasource}"
    for target in panel["targets"]:
        own = CLUSTER.sub("", target["expr"])
        assert own.count('namespace=~"$namespace", job=~"$job"') == own.count("{")


def test_what_the_runbook_says_of_the_dashboard_is_there() -> None:
    """The rows and panels that it names."""
    runbook = " ".join((ROOT / "docs" / "runbook.md").read_text().split())
    named = re.findall(r'[Dd]ashboard, (?:row )?"([^"]+)"', runbook)
    assert len(named) >= 3
    assert set(named) <= {panel["title"] for panel in DASHBOARD["panels"]}
