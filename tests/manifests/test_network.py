"""Services and NetworkPolicies: allowed connections, and selectors that match the intended pods."""

from typing import Any

from tests.manifests.render import FOLDERS, Rendered, render

DNS = 53


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _policies(rendered: Rendered) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one["spec"] for one in rendered.all("NetworkPolicy")}


def test_every_selector_matches_pods_of_the_manifests(deployed: Rendered) -> None:
    """Services, policies, budgets, spread and the Deployment itself select labels that pods have."""
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


def test_services_and_budget_select_only_service_pods(deployed: Rendered) -> None:
    """No ticket is sent to a training pod, and none counts as a replica."""
    others = [pod.labels for pod in deployed.pods() if pod.name != "ticket-router"]
    selectors = [one["spec"]["selector"] for one in deployed.all("Service")]
    selectors += [one["spec"]["selector"]["matchLabels"] for one in deployed.all("PodDisruptionBudget")]
    assert not any(_selects(selector, labels) for selector in selectors for labels in others)


def test_services_target_the_ports_of_the_container(deployed: Rendered) -> None:
    """One port each, by the name that the container gives it."""
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


def test_all_traffic_is_denied_by_default(deployed: Rendered) -> None:
    """Both ways, for every pod of the namespace."""
    assert _policies(deployed)["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_each_policy_names_peers_and_ports(deployed: Rendered) -> None:
    """No rule allows all peers or all ports; only dev opens the API to all, for its node port."""
    open_to_all = {"api-clients"} if deployed == render(FOLDERS["dev"]) else set()
    for name, spec in _policies(deployed).items():
        for way, peers in (("ingress", "from"), ("egress", "to")):
            for rule in spec.get(way, ()):
                assert rule["ports"], name
                assert name in open_to_all or rule[peers], name


def test_only_monitoring_reaches_the_management_port(deployed: Rendered) -> None:
    """The port can reload, and has no keys of its own."""
    admitted = {
        name: rule
        for name, spec in _policies(deployed).items()
        for rule in spec.get("ingress", ())
        if any(port["port"] == "management" for port in rule["ports"])
    }
    assert list(admitted) == ["monitoring"]
    (peer,) = admitted["monitoring"]["from"]
    assert set(peer) == {"namespaceSelector", "podSelector"}


def test_only_named_policies_have_egress_beyond_dns(deployed: Rendered) -> None:
    """Egress is DNS, the object store for pods with a fetching container, the collector, the database and the
    helpdesks for the service."""
    fetching = [pod for pod in deployed.pods() if any(one["name"] == "fetch" for one in pod.containers)]
    policies = _policies(deployed)
    reaching = {name for name, spec in policies.items() if _leaves(spec)}
    assert reaching == ({"fetch-bundle"} if fetching else set()) | {"tracing", "records", "helpdesks"} & set(policies)
    if fetching:
        selector = policies["fetch-bundle"]["podSelector"]["matchLabels"]
        assert [pod for pod in deployed.pods() if _selects(selector, pod.labels)] == fetching


def _leaves(spec: dict[str, Any]) -> bool:
    return any(port["port"] != DNS for rule in spec.get("egress", ()) for port in rule["ports"])
