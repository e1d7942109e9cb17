"""The runbook's "add pods" asks a cluster for so many more: kubectl, against a recorded API's answers."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import ROOT

SNIPPET = re.search(r"```sh\n(N=2\n.*?)```", (ROOT / "docs" / "runbook.md").read_text(), re.DOTALL)
IN = "namespaces/ticket-router"
DEPLOYMENT = f"/apis/apps/v1/{IN}/deployments/ticket-router"
HPA = f"/apis/autoscaling/v2/{IN}/horizontalpodautoscalers/ticket-router"
NAMED = {"metadata": {"name": "ticket-router", "namespace": "ticket-router"}}


def resource(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "singularName": "",
        "namespaced": True,
        "kind": kind,
        "verbs": ["get", "patch", "update"],
    } | more


def group(name: str, version: str) -> dict[str, Any]:
    found = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [found], "preferredVersion": found}


def answers(replicas: int, most: int | None) -> dict[str, Any]:
    """By path: what a cluster's API says of its kinds, of the deployment, and of an autoscaler if there is one."""
    scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", **NAMED, "spec": {"replicas": replicas}}
    found: dict[str, Any] = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
        "/apis": {"kind": "APIGroupList", "groups": [group("apps", "v1"), group("autoscaling", "v2")]},
        "/apis/apps/v1": {
            "kind": "APIResourceList",
            "groupVersion": "apps/v1",
            "resources": [
                resource("deployments", "Deployment"),
                resource("deployments/scale", "Scale", group="autoscaling", version="v1"),
            ],
        },
        "/apis/autoscaling/v2": {
            "kind": "APIResourceList",
            "groupVersion": "autoscaling/v2",
            "resources": [resource("horizontalpodautoscalers", "HorizontalPodAutoscaler", shortNames=["hpa"])],
        },
        DEPLOYMENT: {"kind": "Deployment", "apiVersion": "apps/v1", **NAMED, "spec": {"replicas": replicas}},
        f"{DEPLOYMENT}/scale": scale,
    }
    if most is not None:
        spec = {"minReplicas": 2, "maxReplicas": most}
        found[HPA] = {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2", **NAMED, "spec": spec}
    return found


@contextmanager
def cluster(known: dict[str, Any], changes: dict[str, Any]) -> Iterator[str]:
    """An API on loopback; what is patched or put lands in `changes` by its path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(known.get(self.path.split("?")[0]))

        def do_PATCH(self) -> None:
            path = self.path.split("?")[0]
            changes[path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["spec"]
            self._answer(known.get(path))

        do_PUT = do_PATCH

        def _answer(self, content: Any) -> None:
            missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            body = json.dumps(missing if content is None else content).encode()
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Nothing: the tests' output is theirs."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("replicas", "most", "expected"),
    [
        (4, None, {f"{DEPLOYMENT}/scale": {"replicas": 6}}),
        (4, 12, {HPA: {"minReplicas": 6, "maxReplicas": 12}}),
        (11, 12, {HPA: {"minReplicas": 13, "maxReplicas": 13}}),
    ],
    ids=["a plain deployment", "an autoscaler with room", "an autoscaler at its most"],
)
def test_add_pods_asks_for_two_more_than_now(
    tmp_path: Path, replicas: int, most: int | None, expected: dict[str, Any]
) -> None:
    """Whatever runs now, with an autoscaler and without one."""
    assert SNIPPET is not None
    changes: dict[str, Any] = {}
    with cluster(answers(replicas, most), changes) as address:
        config = tmp_path / "config"
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "c", "cluster": {"server": address}}],
                    "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],
                    "current-context": "c",
                }
            )
        )
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "KUBECONFIG": str(config), "HOME": str(tmp_path), "PATH": path}
        run = subprocess.run(["sh", "-c", SNIPPET[1]], env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert changes == expected
