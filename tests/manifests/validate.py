"""`make manifests`: every folder of k8s/ rendered, validated against the schemas of several versions, and checked by
checkov.

Runs in its own environment (dependency group `manifests`) without the product's packages, since checkov pins its
dependencies. Offline. Tests that need the service's settings and images are beside it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.manifests.render import FOLDERS, ROOT, kustomize

OLDEST = 31
"""Kubernetes 1.31: the first version with stable `unhealthyPodEvictionPolicy` and pod failure policies."""
SCHEMALESS = {("monitoring.coreos.com/v1", "ServiceMonitor"), ("monitoring.coreos.com/v1", "PrometheusRule")}
"""The only kinds without a schema: definitions of the Prometheus operator."""
CHECKOV = ROOT / "k8s/checkov.yaml"


def main() -> int:
    """Check all folders and print the faults; 1 if there is any."""
    versions = _versions()
    with tempfile.TemporaryDirectory() as folder:
        rendered = {name: kustomize(path) for name, path in FOLDERS.items()}
        faults = [fault for name, text in rendered.items() for fault in _schema_faults(name, text, versions)]
        for name, text in rendered.items():
            (Path(folder) / f"{name}.yaml").write_text(text)
        clean = _checkov(Path(folder))
    print(
        "\n".join(faults)
        or f"schemas of Kubernetes {versions[0]} to {versions[-1]}: no fault in {len(rendered)} folders"
    )
    return int(bool(faults) or not clean)


def _versions() -> list[str]:
    """From the oldest supported version to the newest one with schemas."""
    newest = int(kubernetes_validate.latest_version().split(".")[1])
    return [f"1.{minor}" for minor in range(OLDEST, newest + 1)]


def _schema_faults(name: str, text: str, versions: list[str]) -> Iterator[str]:
    for one in yaml.safe_load_all(text):
        if (one["apiVersion"], one["kind"]) not in SCHEMALESS:
            for version in versions:
                yield from _faults_of(f"{name}: {one['kind']} {one['metadata']['name']}, {version}", one, version)


def _faults_of(where: str, one: dict[str, Any], version: str) -> Iterator[str]:
    try:
        kubernetes_validate.validate(one, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{where}: {'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        yield f"{where}: the schemas do not know this kind"


def _checkov(folder: Path) -> bool:
    """Whether checkov finds nothing; its findings go to standard output."""
    command = [Path(sys.executable).parent / "checkov", "--config-file", CHECKOV, "--directory", folder]
    return subprocess.run(command, cwd=ROOT).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
