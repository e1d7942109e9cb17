"""A real Prometheus, a real service under load: what the dashboard and the alerts ask for is there."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.monitoring.conftest import CALLER, PODS, Watched
from tests.monitoring.draw import draw
from tests.monitoring.prometheus import NAMESPACE, as_grafana_asks, telling
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
}
ADAPTER = ROOT / "k8s" / "components" / "autoscaling" / "adapter-values.yaml"


DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PICTURE = ROOT / "build" / "dashboard.png"
EMPTY = {"Outcomes and shares against the usual", "Retraining: failed Jobs"}
"""They need a day's history, and a Job that has failed."""


def reload(service: Service, **content: Any) -> int:
    url = f"{service.management_url}/admin/reload"
    return httpx.post(url, json=content, headers=CALLER.header, timeout=60).status_code


def test_every_panel_of_the_dashboard_is_drawn(watched: Watched) -> None:
    """No panel stays empty on a service that works, and no annotation's query fails; build/dashboard.png shows them."""
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    PICTURE.parent.mkdir(exist_ok=True)
    found = draw(panels, watched.prometheus, PICTURE)
    assert len(found) == len(panels) > 50
    assert {title for title, series in found.items() if not series} - EMPTY == set()
    for panel in panels:
        for target in panel["targets"]:
            assert panel["title"] in EMPTY or watched.prometheus.ask(as_grafana_asks(target["expr"])), target["expr"]
    for note in DASHBOARD["annotations"]["list"]:
        watched.prometheus.ask(as_grafana_asks(note["expr"]))


def test_every_rule_is_evaluated_and_gives_data(watched: Watched) -> None:
    """Prometheus takes every rule, and none asks for a metric or label that is not there."""
    assert [rule["name"] for rule in watched.prometheus.rules() if rule["health"] != "ok"] == []
    found = rules("alert") + rules("record")
    assert [rule["expr"] for rule in found if not watched.prometheus.ask(telling(rule["expr"]))] == []


def test_every_query_of_the_runbook_gives_data(watched: Watched) -> None:
    """At three in the morning a query that finds nothing must mean that there is nothing."""
    queries = re.findall(r"```promql\n(.*?)\n```", (ROOT / "docs" / "runbook.md").read_text(), re.DOTALL)
    assert len(queries) > 5
    assert [query for query in queries if not watched.prometheus.ask(telling(query))] == []


def test_every_recording_is_there(watched: Watched) -> None:
    """What alerts and dashboard read of the recording rules is really recorded."""
    names = [rule["record"] for rule in rules("record") if not rule["record"].endswith("_usual")]
    assert [name for name in names if not watched.prometheus.ask(name)] == []


def test_every_share_lies_between_nothing_and_all(watched: Watched) -> None:
    """Failures, slow tickets, refusals and reviews, over every window: each is a part of what it is divided by."""
    shares = '{__name__=~"job:ticket_router_(failures|slow|refused|reviews):ratio_rate.+"}'
    assert len(watched.prometheus.labels(shares, "__name__")) == 12
    assert [share for share in watched.prometheus.ask(shares) if not 0 <= share <= 1] == []


def test_what_is_scraped_bears_the_pods_name(watched: Watched) -> None:
    """Whom an alert names is whom kubectl knows."""
    assert watched.prometheus.labels("ticket_router_ready", "instance") == set(PODS)


@pytest.mark.parametrize("name", ["ticket_router_queue_tokens", "ticket_router_busy_share"])
def test_the_autoscaler_is_told_a_figure_of_each_pod(watched: Watched, name: str) -> None:
    """The adapter's queries, with what the adapter puts in when it is asked for a deployment's pods."""
    (rule,) = (each for each in yaml.safe_load(ADAPTER.read_text())["rules"]["custom"] if each["name"]["as"] == name)
    put_in = {
        "Series": rule["seriesQuery"].split("{")[0],
        "LabelMatchers": f'namespace="{NAMESPACE}",pod=~"{"|".join(PODS)}"',
        "GroupBy": "pod",
    }
    query = re.sub(r"<<\.(\w+)>>", lambda found: put_in[found[1]], rule["metricsQuery"])
    assert watched.prometheus.ask(rule["seriesQuery"])
    assert watched.prometheus.labels(query, "pod") == set(PODS)


def test_no_alert_begins_on_a_service_that_works(watched: Watched) -> None:
    """An alert about nothing is the next one that nobody reads. What only waits for its time has begun, too."""
    begun = watched.prometheus.labels("ALERTS", "alertname")
    assert begun - set(OF_THE_LOAD) == set()


@pytest.fixture(scope="module")
def foreign(tiny_bundle_path: Path) -> str:
    """The version of a bundle that this release refuses, beside the one that serves."""
    return spoiled.foreign(tiny_bundle_path, tiny_bundle_path.parent).name


def test_a_refused_reload_raises_its_alert_and_a_good_one_ends_it(watched: Watched, foreign: str) -> None:
    """Of either service, seen by Prometheus within its next scrapes."""
    for service in (watched.small, watched.with_keys):
        assert reload(service, bundle=foreign) == 409
        wait_until(lambda: watched.prometheus.alert_state(RELOAD_FAILED) is not None)
        assert reload(service) == 200
        wait_until(lambda: watched.prometheus.alert_state(RELOAD_FAILED) is None)


@pytest.mark.slow
def test_an_alert_fires_after_its_time_and_is_over(watched: Watched, foreign: str) -> None:
    """From the refused bundle to an alert that fires, and to its end, in the real Prometheus."""
    assert reload(watched.small, bundle=foreign) == 409
    wait_until(lambda: watched.prometheus.alert_state(RELOAD_FAILED) == "firing", seconds=120)
    assert reload(watched.small) == 200
    wait_until(lambda: watched.prometheus.alert_state(RELOAD_FAILED) is None)
