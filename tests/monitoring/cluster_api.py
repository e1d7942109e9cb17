"""A Kubernetes API on loopback, as far as the runbook's kubectl commands use it: one deployment, its pod, its jobs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.local_server import answering

Object = dict[str, Any]

NAMESPACE = "ticket-router"
NAME = "ticket-router"
KINDS = {
    "v1": {"pods": "Pod", "pods/log": "Pod", "pods/portforward": "PodPortForwardOptions", "events": "Event"},
    "apps/v1": {"deployments": "Deployment", "deployments/scale": "Scale", "replicasets": "ReplicaSet"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
    "batch/v1": {"jobs": "Job", "cronjobs": "CronJob"},
    "discovery.k8s.io/v1": {"endpointslices": "EndpointSlice"},
    "monitoring.coreos.com/v1": {"servicemonitors": "ServiceMonitor"},
}
"""By group and version. Secrets are left out: the only command about them is a dry run."""
SHORT = {"horizontalpodautoscalers": ["hpa"]}
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/component": "service"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {
        "initContainers": [{"name": "fetch", "image": "i"}],
        "containers": [{"name": "service", "image": "i", "ports": [{"containerPort": 8080}, {"containerPort": 9090}]}],
    },
}


def prefix(version: str) -> str:
    return f"/api/{version}" if version == "v1" else f"/apis/{version}"


def path(version: str, resource: str, name: str = NAME) -> str:
    return f"{prefix(version)}/namespaces/{NAMESPACE}/{resource}/{name}"


def _discovery() -> Iterator[tuple[str, Object]]:
    yield "/api", {"kind": "APIVersions", "versions": ["v1"]}
    groups = []
    for each, kinds in KINDS.items():
        resources = [
            {
                "name": name,
                "singularName": kind.lower(),
                "namespaced": True,
                "kind": kind,
                "shortNames": SHORT.get(name, []),
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            }
            | ({"group": "autoscaling", "version": "v1"} if kind == "Scale" else {})
            for name, kind in kinds.items()
        ]
        yield prefix(each), {"kind": "APIResourceList", "groupVersion": each, "resources": resources}
        if each != "v1":
            name, version = each.split("/")
            found = {"groupVersion": each, "version": version}
            groups.append({"name": name, "versions": [found], "preferredVersion": found})
    yield "/apis", {"kind": "APIGroupList", "groups": groups}


def _object(version: str, resource: str, name: str = NAME, **more: Any) -> tuple[str, Object]:
    meta: Object = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"{resource}/{name}",
        "labels": LABELS,
        "generation": 1,
    }
    meta |= {"creationTimestamp": "2026-11-01T00:00:00Z", "annotations": {"deployment.kubernetes.io/revision": "2"}}
    meta |= more.pop("metadata", {})
    return path(version, resource, name), {
        "kind": KINDS[version][resource],
        "apiVersion": version,
        "metadata": meta,
        **more,
    }


def answers(replicas: int = 4, most: int | None = 12) -> dict[str, Object]:
    """The objects by path. `most`: the autoscaler's maximum; None without an autoscaler."""
    selector = {"matchLabels": LABELS}
    owner = {
        "kind": "Deployment",
        "name": NAME,
        "uid": f"deployments/{NAME}",
        "apiVersion": "apps/v1",
        "controller": True,
    }
    state = {"replicas": replicas, "updatedReplicas": replicas, "availableReplicas": replicas, "observedGeneration": 1}
    job = {"selector": selector, "template": TEMPLATE}
    former = {"ownerReferences": [owner], "annotations": {"deployment.kubernetes.io/revision": "1"}}
    found = [
        _object(
            "apps/v1",
            "deployments",
            spec={"replicas": replicas, "selector": selector, "template": TEMPLATE},
            status=state
            | {"conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]},
        ),
        (
            path("apps/v1", "deployments") + "/scale",
            _object("apps/v1", "deployments")[1]
            | {"kind": "Scale", "apiVersion": "autoscaling/v1", "spec": {"replicas": replicas}},
        ),
        _object(
            "apps/v1",
            "replicasets",
            "now",
            metadata={"ownerReferences": [owner]},
            spec={"replicas": replicas, "selector": selector, "template": TEMPLATE},
        ),
        _object(
            "apps/v1",
            "replicasets",
            "former",
            metadata=former,
            spec={
                "replicas": 0,
                "selector": selector,
                "template": {**TEMPLATE, "spec": {"containers": [{"name": "service", "image": "former"}]}},
            },
        ),
        _object(
            "v1",
            "pods",
            "POD",
            spec=TEMPLATE["spec"],
            status={
                "phase": "Running",
                "containerStatuses": [
                    {"name": "service", "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}
                ],
            },
        ),
        _object("batch/v1", "jobs", "JOB", spec=job),
        _object(
            "batch/v1",
            "cronjobs",
            f"{NAME}-retraining",
            spec={"schedule": "0 2 1 * *", "jobTemplate": {"spec": {"template": TEMPLATE}}},
        ),
        _object("v1", "events", "e", lastTimestamp="2026-11-01T00:00:00Z", involvedObject={"name": NAME}),
        _object("discovery.k8s.io/v1", "endpointslices", addressType="IPv4", endpoints=[]),
        _object("monitoring.coreos.com/v1", "servicemonitors", spec={}),
    ]
    if most is not None:
        spec = {"minReplicas": 2, "maxReplicas": most, "scaleTargetRef": {"kind": "Deployment", "name": NAME}}
        found.append(_object("autoscaling/v2", "horizontalpodautoscalers", spec=spec))
    return dict(_discovery()) | dict(found)


@contextmanager
def cluster(known: dict[str, Object], changes: dict[str, Any]) -> Iterator[str]:
    """The API's address; `changes` records each change by its path, a deletion as None."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = parse_qs(url.query)
            if url.path.endswith("/log"):
                self._send(200, b'{"level": "error", "event": "request", "problem": "unauthenticated"}\n')
            elif "watch" in asked:
                self._send(200, b"")
            else:
                self._answer(known.get(url.path) or self._list(url.path, asked.get("fieldSelector", [""])[0]))

        def _list(self, where: str, selector: str) -> Object | None:
            version, _, resource = where.replace(f"/namespaces/{NAMESPACE}", "").rpartition("/")
            version = version.removeprefix("/apis/").removeprefix("/api/")
            if resource not in KINDS.get(version, {}):
                return None
            items = [each for name, each in known.items() if name.rpartition("/")[0] == where]
            if selector.startswith("metadata.name="):
                items = [each for each in items if each["metadata"]["name"] == selector.removeprefix("metadata.name=")]
            meta = {"resourceVersion": "1"}
            return {"kind": f"{KINDS[version][resource]}List", "apiVersion": version, "metadata": meta, "items": items}

        def do_PATCH(self) -> None:
            where = urlsplit(self.path).path
            changes[where] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(known.get(where))

        do_PUT = do_PATCH

        def do_POST(self) -> None:
            where = urlsplit(self.path).path
            changes[where] = self.rfile.read(int(self.headers["Content-Length"]))  # protobuf
            self._answer(next((each for name, each in known.items() if name.rpartition("/")[0] == where), None))

        def do_DELETE(self) -> None:
            where = urlsplit(self.path).path
            changes[where] = None
            self._answer(known.pop(where, None))

        def _answer(self, content: Any) -> None:
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            self._send(404 if content is None else 200, json.dumps(content or missing).encode())

        def _send(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Keeps the test output free of request lines."""

    with answering(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}"
