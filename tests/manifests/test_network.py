"""Services and NetworkPolicies: who reaches whom, and that every selector finds the pods it means."""

from typing import Any

from tests.manifests.render import FOLDERS, Rendered, render

DNS = 53


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _policies(rendered: Rendered) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one["spec"] for one in rendered.all("NetworkPolicy")}


def test_every_selector_finds_pods_of_ours(deployed: Rendered) -> None:
    """Services, policies, budgets, spread and the Deployment itself select labels that pods carry."""
    labels = [pod.labels for pod in deployed.pods()]
    selectors = [one["spec"]["selector"] for one in deployed.all("Service")]
    selectors += [spec["podSelector"].get("matchLabels", {}) for spec in _policies(deployed).values()]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in deployed.all("PodDisruptionBudget")]
    service = deployed.pod("ticket-router")
    for selector in selectors:
        assert any(_selects(selector, each) for each in labels), selector
    own = [deployed.one("Deployment", "ticket-router")["spec"]["selector"]]
    own += [constraint["labelSelector"] for constraint in service.spec["topologySpreadConstraints"]]
    assert all(_selects(selector["matchLabels"], service.labels) for selector in own)


def test_services_and_budget_leave_the_other_pods_alone(deployed: Rendered) -> None:
    """No ticket is sent to a training, and none counts as a replica."""
    others = [pod.labels for pod in deployed.pods() if pod.name != "ticket-router"]
    selectors = [one["spec"]["selector"] for one in deployed.all("Service")]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in deployed.all("PodDisruptionBudget")]
    assert not any(_selects(selector, labels) for selector in selectors for labels in others)


def test_services_lead_to_the_ports_of_the_container(deployed: Rendered) -> None:
    """One port each, under the name that the container gives it."""
    ports = {
        port["name"]: port["containerPort"] for port in deployed.pod("ticket-router").container("service")["ports"]
    }
    services = {one["metadata"]["name"]: one["spec"] for one in deployed.all("Service")}
    led = {name: [(port["targetPort"], port["port"]) for port in spec["ports"]] for name, spec in services.items()}
    assert led == {
        "ticket-router": [("http", ports["http"])],
        "ticket-router-management": [("management", ports["management"])],
    }
    assert services["ticket-router-management"]["publishNotReadyAddresses"] is True


def test_nothing_goes_in_or_out_unless_named(deployed: Rendered) -> None:
    """The default is to deny, both ways, for every pod of the namespace."""
    assert _policies(deployed)["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_each_policy_names_peers_and_ports(deployed: Rendered) -> None:
    """No rule means anybody or any port; dev alone opens the API to all, for its node's port."""
    open_to_all = {"api-clients"} if deployed == render(FOLDERS["dev"]) else set()
    for name, spec in _policies(deployed).items():
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for rule in spec.get(way, ()):
                assert rule["ports"], name
                assert name in open_to_all or rule[peers], name


def test_the_management_port_is_for_monitoring_alone(deployed: Rendered) -> None:
    """It can reload and has no keys of its own."""
    admitted = {
        name: rule
        for name, spec in _policies(deployed).items()
        for rule in spec.get("ingress", ())
        if any(port["port"] == "management" for port in rule["ports"])
    }
    assert list(admitted) == ["monitoring"]
    (peer,) = admitted["monitoring"]["from"]
    assert set(peer) == {"namespaceSelector", "podSelector"}


def test_only_named_policies_reach_beyond_the_name_server(deployed: Rendered) -> None:
    """Egress is DNS, the object store for pods with a fetching container, the collector and the database for the
    service."""
    fetching = [pod for pod in deployed.pods() if any(one["name"] == "fetch" for one in pod.containers)]
    policies = _policies(deployed)
    reaching = {name for name, spec in policies.items() if _leaves(spec)}
    assert reaching == ({"fetch-bundle"} if fetching else set()) | {"tracing", "records"} & set(policies)
    if fetching:
        selector = policies["fetch-bundle"]["podSelector"]["matchLabels"]
        assert [pod for pod in deployed.pods() if _selects(selector, pod.labels)] == fetching


def _leaves(spec: dict[str, Any]) -> bool:
    return any(port["port"] != DNS for rule in spec.get("egress", ()) for port in rule["ports"])
