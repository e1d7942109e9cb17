"""The Pod Security Standard `restricted` and this project's further rules: a list of a pod's violations."""

from collections.abc import Iterator
from typing import Any

VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
    "image",  # since Kubernetes 1.33
}
USER = 10001
"""The user and group of the images (Dockerfile)."""


def violations(spec: dict[str, Any]) -> list[str]:
    """Violations of a pod's spec, of `restricted` or of this project's rules."""
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    return [*_of_pod(spec), *(f"{one['name']}: {what}" for one in containers for what in _of_container(one, spec))]


def _of_pod(spec: dict[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", ()):
        if not set(volume) - {"name"} <= VOLUMES:
            yield f"volume {volume['name']}"
    context = spec.get("securityContext", {})
    for name in ("sysctls", "seLinuxOptions", "windowsOptions", "supplementalGroups"):
        if name in context:
            yield name
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        if context.get(name) != USER:
            yield name
    if spec.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"
    if spec.get("enableServiceLinks") is not False:
        yield "enableServiceLinks"


def _of_container(container: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    """A container's own security context takes precedence over the pod's."""
    own = container.get("securityContext", {})
    context = {**spec.get("securityContext", {}), **own}
    if context.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if context.get("runAsUser") != USER:
        yield "runAsUser"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem"
    if own.get("capabilities") != {"drop": ["ALL"]}:
        yield "capabilities"
    if own.get("privileged") or "procMount" in own:
        yield "privileged"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "hostPort"
