"""A real Prometheus and a real service under load have every series of the dashboard and the alerts."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.monitoring.conftest import CALLER, PODS, Watched
from tests.monitoring.draw import draw
from tests.monitoring.prometheus import NAMESPACE, always_with_data, as_grafana_asks
from tests.monitoring.rules import FOLDER, rules
from tests.support import spoiled
from tests.support.process import ROOT, Service
from tests.support.waiting import wait_until

RELOAD_FAILED = "TicketRouterReloadFailed"
OF_THE_LOAD = {
    "TicketRouterRefusing": "the load is there to have tickets refused",
    "TicketRouterQueueFilling": "by a queue that one long ticket fills",
    "TicketRouterSaturated": "which waits for one runner on a machine that others share",
    "TicketRouterLatencyBurn": "so tickets wait for longer than half a second",
    "TicketRouterRouteShareUnexpected": "and the mail is not what the bundle was calibrated with",
    "TicketRouterDrift": "or measured on",
}
ADAPTER = ROOT / "k8s" / "components" / "autoscaling" / "adapter-values.yaml"


DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PICTURE = ROOT / "build" / "dashboard.png"
EMPTY = {"Outcomes and shares against the usual", "Retraining: failed Jobs"}
"""They need a day's history, or a failed Job."""
ONLY_SOMETIMES = re.compile("ticket_router_(automation_off|misroute|challenger|shadow_compared)")
"""Series that a switch, the misroute alarm or a second bundle brings; tests/app and tests/challengers see them."""


def reload(service: Service, **content: Any) -> int:
    url = f"{service.management_url}/admin/reload"
    return httpx.post(url, json=content, headers=CALLER.header, timeout=60).status_code


def test_every_panel_of_the_dashboard_has_data(watched: Watched) -> None:
    """On a working service no panel is empty and no annotation's query fails; build/dashboard.png shows the panels."""
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    PICTURE.parent.mkdir(exist_ok=True)
    found = draw(panels, watched.prometheus, PICTURE)
    assert len(found) == len(panels) > 50
    sometimes = {each["title"] for each in panels if all(ONLY_SOMETIMES.search(one["expr"]) for one in each["targets"])}
    empty = EMPTY | sometimes
    assert {title for title, series in found.items() if not series} - empty == set()
    for panel in panels:
        for target in panel["targets"]:
            assert panel["title"] in empty or watched.prometheus.ask(as_grafana_asks(target["expr"])), target["expr"]
    for note in DASHBOARD["annotations"]["list"]:
        watched.prometheus.ask(as_grafana_asks(note["expr"]))


def test_every_rule_is_evaluated_and_returns_data(watched: Watched) -> None:
    """Prometheus accepts every rule, and no rule uses a metric or label that does not exist."""
    assert [rule["name"] for rule in watched.prometheus.rules() if rule["health"] != "ok"] == []
    found = rules("alert") + rules("record")
    lasting = [rule["expr"] for rule in found if not ONLY_SOMETIMES.search(rule["expr"])]
    assert [expr for expr in lasting if not watched.prometheus.ask(always_with_data(expr))] == []


def test_every_query_of_the_runbook_returns_data(watched: Watched) -> None:
    """So that in an incident an empty result means that nothing is wrong, not that the query is."""
    queries = re.findall(r"```promql\n(.*?)\n```", (ROOT / "docs" / "runbook.md").read_text(), re.DOTALL)
    assert len(queries) > 5
    assert [query for query in queries if not watched.prometheus.ask(always_with_data(query))] == []


def test_every_recording_rule_has_data(watched: Watched) -> None:
    """Alerts and dashboard read recorded series that exist."""
    names = [rule["record"] for rule in rules("record") if not rule["record"].endswith("_usual")]
    assert [name for name in names if not watched.prometheus.ask(name)] == []


def test_every_ratio_lies_between_0_and_1(watched: Watched) -> None:
    """Failures, slow tickets, refusals and reviews, over every window: each is a part of its denominator."""
    shares = '{__name__=~"job:ticket_router_(failures|slow|refused|reviews):ratio_rate.+"}'
    assert len(watched.prometheus.labels(shares, "__name__")) == 12
    assert [share for share in watched.prometheus.ask(shares) if not 0 <= share <= 1] == []


def test_scraped_series_have_the_pods_name(watched: Watched) -> None:
    """The name in an alert is the name that kubectl knows."""
    assert watched.prometheus.labels("ticket_router_ready", "instance") == set(PODS)


@pytest.mark.parametrize("name", ["ticket_router_queue_tokens", "ticket_router_busy_share"])
def test_the_autoscaler_gets_a_value_for_each_pod(watched: Watched, name: str) -> None:
    """The adapter's queries, with the values that the adapter inserts for a deployment's pods."""
    (rule,) = (each for each in yaml.safe_load(ADAPTER.read_text())["rules"]["custom"] if each["name"]["as"] == name)
    put_in = {
        "Series": rule["seriesQuery"].split("{")[0],
        "LabelMatchers": f'namespace="{NAMESPACE}",pod=~"{"|".join(PODS)}"',
        "GroupBy": "pod",
    }
    query = re.sub(r"<<\.(\w+)>>", lambda found: put_in[found[1]], rule["metricsQuery"])
    assert watched.prometheus.ask(rule["seriesQuery"])
    assert watched.prometheus.labels(query, "pod") == set(PODS)


def test_no_alert_is_pending_or_firing_on_a_working_service(watched: Watched) -> None:
    """A false alert teaches people to ignore alerts. An alert that only waits for its duration counts, too."""
    begun = watched.prometheus.labels("ALERTS", "alertname")
    assert begun - set(OF_THE_LOAD) == set()


@pytest.fixture(scope="module")
def foreign(tiny_bundle_path: Path) -> str:
    """The version of a bundle that this release refuses, beside the serving one."""
    return spoiled.foreign(tiny_bundle_path, tiny_bundle_path.parent).name


def test_a_refused_reload_raises_its_alert_and_a_successful_one_clears_it(watched: Watched, foreign: str) -> None:
    """On either service, seen by Prometheus within its next scrapes."""
    for service in (watched.small, watched.with_keys):
        assert reload(service, bundle=foreign) == 409
        wait_until(lambda: watched.prometheus.alert_state(RELOAD_FAILED) is not None)
        assert reload(service) == 200
        wait_until(lambda: watched.prometheus.alert_state(RELOAD_FAILED) is None)


@pytest.mark.slow
def test_an_alert_fires_after_its_duration_and_clears(watched: Watched, foreign: str) -> None:
    """From the refused bundle to a firing alert, and to its end, in the real Prometheus."""
    assert reload(watched.small, bundle=foreign) == 409
    wait_until(lambda: watched.prometheus.alert_state(RELOAD_FAILED) == "firing", seconds=120)
    assert reload(watched.small) == 200
    wait_until(lambda: watched.prometheus.alert_state(RELOAD_FAILED) is None)
