"""The objects that `kubectl apply -k` would send: each folder of k8s/ rendered, and the parts that tests check.

Used by the tests beside it and by `validate.py`, whose environment has no package of the product.
"""

import functools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ("cpu", "gpu", "dev")
FOLDERS = {
    "namespace": ROOT / "k8s/namespace",
    **{name: ROOT / "k8s/overlays" / name for name in OVERLAYS},
    "everything": ROOT / "tests/manifests/everything",
    "image-volume": ROOT / "tests/manifests/image_volume",
    "bundles": ROOT / "k8s/volumes/bundles",
    "retraining": ROOT / "k8s/volumes/retraining",
}
"""The rendered folders by name."""
CLAIMS = {"ticket-router-bundles", "ticket-router-export", "ticket-router-retraining"}
"""Created separately from the overlays, by k8s/volumes."""
SECRETS = {f"ticket-router-{name}" for name in ("bundle-store", "keys", "otlp", "records", "helpdesks")}
"""Created by the administrator: docs/deploy.md, "What you create"."""
CONFIG_MAPS = {"ticket-router-bundle-key"}
"""Created by the administrator too: docs/deploy.md, "What you create"."""
_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}


@dataclass(frozen=True)
class Pod:
    """The pods of one workload: their labels and their spec."""

    kind: str
    name: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]

    def container(self, name: str) -> dict[str, Any]:
        return next(one for one in self.containers if one["name"] == name)


@dataclass(frozen=True)
class Rendered:
    """All objects of one folder."""

    objects: tuple[dict[str, Any], ...]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        return next(one for one in self.all(kind) if one["metadata"]["name"] == name)

    def pods(self) -> Iterator[Pod]:
        for one in self.objects:
            if one["kind"] in _TEMPLATES:
                template = functools.reduce(lambda part, key: part[key], _TEMPLATES[one["kind"]], one)
                name, labels = one["metadata"]["name"], template["metadata"]["labels"]
                yield Pod(one["kind"], name, labels, template["spec"])

    def pod(self, name: str) -> Pod:
        return next(pod for pod in self.pods() if pod.name == name)

    def settings(self) -> dict[str, str]:
        """The environment of the service: its ConfigMaps', and before that its own; values of Secrets are left out."""
        container = self.pod("ticket-router").container("service")
        (source,) = container["envFrom"]
        data: dict[str, str] = self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        for one in container["env"]:
            if "value" in one:
                data = data | {one["name"]: one["value"]}
            elif "configMapKeyRef" in one["valueFrom"]:
                reference = one["valueFrom"]["configMapKeyRef"]
                data = data | {one["name"]: self.one("ConfigMap", reference["name"])["data"][reference["key"]]}
        return data


def kustomize(folder: Path) -> str:
    """The YAML of a kustomization.

    Raises:
        RuntimeError: the build failed; the message is kustomize's own.
    """
    kubectl = Path(sys.executable).parent / "kubectl"
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"{folder}: {done.stderr.strip()}")
    return done.stdout


@functools.cache
def render(folder: Path) -> Rendered:
    """A kustomization as objects.

    Raises:
        RuntimeError: the build failed.
    """
    return Rendered(tuple(yaml.safe_load_all(kustomize(folder))))
