"""The committed dashboard: it is what the code makes, and a person can read it."""

import itertools
import json
from typing import Any

import pytest
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from k8s.dashboard.build import COLUMNS, FILE, dashboard_json
from tests.monitoring.rules import FOLDER

DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
UNITS = {value for name, value in vars(units).items() if not name.startswith("_") and isinstance(value, str)}


def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))


def test_the_committed_dashboard_is_what_the_code_makes() -> None:
    """Changed by hand, or not written anew: `make dashboard`."""
    assert FILE.read_text() == dashboard_json()
    assert FILE.is_relative_to(FOLDER)


def test_grafanas_own_types_can_read_it() -> None:
    """What Grafana's schema does not know would be lost on the way through."""
    again = Dashboard.from_json(json.loads(FILE.read_text())).to_json()
    assert again["title"] == "Ticket router"
    assert len(again["panels"]) == len(DASHBOARD["panels"])


def test_no_two_panels_share_an_id_or_a_place() -> None:
    """Ids are unique, nothing overlaps, nothing sticks out of the grid."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken = [cell for panel in DASHBOARD["panels"] for cell in cells(panel)]
    assert len(set(taken)) == len(taken)
    assert all(0 <= x < COLUMNS for x, _ in taken)


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
        assert target["expr"].count('namespace=~"$namespace", job=~"$job"') == target["expr"].count("{")
