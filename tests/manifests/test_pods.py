"""Every pod of k8s/: its user, its resources, and names that refer to existing objects."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.manifests.render import CLAIMS, CONFIG_MAPS, FOLDERS, ROOT, SECRETS, Rendered, render
from tests.manifests.restricted import USER, violations

DOCKERFILE = (ROOT / "Dockerfile").read_text()
REFERENCES = {"configMap": "name", "persistentVolumeClaim": "claimName", "secret": "secretName"}
"""Kinds of volume with an external source, and the key of the source's name."""


def test_every_pod_passes_the_restricted_profile(rendered: Rendered) -> None:
    """The namespace, which enforces the profile, accepts every pod."""
    assert {pod.name: violations(pod.spec) for pod in rendered.pods()} == {pod.name: [] for pod in rendered.pods()}


Spoil = Callable[[dict[str, Any], dict[str, Any]], object]
SPOILED: dict[str, Spoil] = {
    "hostNetwork": lambda pod, _: pod.update(hostNetwork=True),
    "volume tmp": lambda pod, _: pod["volumes"][-1].update(hostPath={"path": "/"}),
    "sysctls": lambda pod, _: pod["securityContext"].update(sysctls=[]),
    "fsGroup": lambda pod, _: pod["securityContext"].pop("fsGroup"),
    "automountServiceAccountToken": lambda pod, _: pod.pop("automountServiceAccountToken"),
    "enableServiceLinks": lambda pod, _: pod.pop("enableServiceLinks"),
    "service: runAsNonRoot": lambda pod, _: pod["securityContext"].pop("runAsNonRoot"),
    "service: runAsUser": lambda _, own: own["securityContext"].update(runAsUser=0),
    "service: seccompProfile": lambda pod, _: pod["securityContext"].pop("seccompProfile"),
    "service: allowPrivilegeEscalation": lambda _, own: own["securityContext"].pop("allowPrivilegeEscalation"),
    "service: readOnlyRootFilesystem": lambda _, own: own["securityContext"].update(readOnlyRootFilesystem=False),
    "service: capabilities": lambda _, own: own["securityContext"]["capabilities"].update(add=["NET_ADMIN"]),
    "service: privileged": lambda _, own: own["securityContext"].update(privileged=True),
    "service: hostPort": lambda _, own: own["ports"][0].update(hostPort=80),
}


@pytest.mark.parametrize("what", SPOILED)
def test_each_violation_of_the_profile_is_found(what: str) -> None:
    """The check above reports each of these by its name."""
    spec = copy.deepcopy(render(FOLDERS["dev"]).pod("ticket-router").spec)
    SPOILED[what](spec, spec["containers"][0])
    assert what in violations(spec)


def test_the_namespace_enforces_the_restricted_profile() -> None:
    """It applies to any pod that is added later, too."""
    (namespace,) = render(FOLDERS["namespace"]).objects
    assert (namespace["kind"], namespace["metadata"]["name"]) == ("Namespace", "ticket-router")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_every_object_is_in_our_namespace(rendered: Rendered) -> None:
    """No object is created in the default namespace."""
    inside = [one["metadata"] for one in rendered.objects if one["kind"] != "Namespace"]
    assert {metadata.get("namespace", "none") for metadata in inside} <= {"ticket-router"}


def test_every_container_has_requests_and_limits(rendered: Rendered) -> None:
    """CPU, memory and disk are requested and limited; requests equal limits for the first two, so that they are
    guaranteed."""
    for pod in rendered.pods():
        for one in pod.containers:
            requests, limits = one["resources"]["requests"], one["resources"]["limits"]
            assert {"cpu", "memory", "ephemeral-storage"} <= set(requests) & set(limits), (pod.name, one["name"])
            assert (requests["cpu"], requests["memory"]) == (limits["cpu"], limits["memory"]), (pod.name, one["name"])


def test_a_pods_folders_fit_its_disk_limit(rendered: Rendered) -> None:
    """The kubelet evicts a pod whose own folders exceed the limits of its containers."""
    for pod in rendered.pods():
        folders = sum(_bytes(one["emptyDir"]["sizeLimit"]) for one in pod.spec["volumes"] if "emptyDir" in one)
        assert folders < sum(_bytes(one["resources"]["limits"]["ephemeral-storage"]) for one in pod.spec["containers"])


def test_every_mount_has_its_volume_and_every_volume_its_source(rendered: Rendered) -> None:
    """No claim, ConfigMap or volume is misspelt."""
    for pod in rendered.pods():
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        mounted = {mount["name"] for one in pod.containers for mount in one["volumeMounts"]}
        assert mounted == set(volumes)
        for volume in volumes.values():
            assert _sources(volume) <= CLAIMS | SECRETS | CONFIG_MAPS | _names(rendered, "ConfigMap"), volume


def test_the_volume_folders_make_the_claims_that_pods_mount() -> None:
    """Every claim that a pod mounts is there."""
    made = {name: _names(render(FOLDERS[name]), "PersistentVolumeClaim") for name in ("bundles", "retraining")}
    assert made["bundles"] | made["retraining"] == CLAIMS


def test_deleting_an_overlay_deletes_no_data(deployed: Rendered) -> None:
    """An overlay has no claims, and no namespace, whose deletion would delete claims and Secrets."""
    assert deployed.all("PersistentVolumeClaim") == deployed.all("Namespace") == []


def test_every_reference_in_the_environment_is_required(rendered: Rendered) -> None:
    """Without the Secret or ConfigMap the container does not start, and the kubelet says which is missing."""
    for source in _environment_sources(rendered):
        assert source["name"] in SECRETS | _names(rendered, "ConfigMap"), source
    volumes = [
        volume.get(kind)
        for pod in rendered.pods()
        for volume in pod.spec["volumes"]
        for kind in ("configMap", "secret")
    ]
    for source in (*_environment_sources(rendered), *filter(None, volumes)):
        assert source["optional"] is False, source


def test_no_manifest_holds_a_secret(rendered: Rendered) -> None:
    """Secrets are named, never included."""
    assert rendered.all("Secret") == []


def test_images_are_targets_of_the_dockerfile_with_a_version(rendered: Rendered) -> None:
    """Every image is built by this project, and none is `latest`."""
    targets = {f"ticket-router-{name}" for name in re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE, re.MULTILINE)}
    for pod in rendered.pods():
        for one in pod.containers:
            name, _, tag = one["image"].rpartition(":")
            assert name.rpartition("/")[2] in targets
            assert tag not in ("", "latest")


def test_an_image_volume_is_the_bundle_image_by_digest(rendered: Rendered) -> None:
    """Image volumes are read-only; a moved tag would change the bundle at a pod's next start."""
    for pod in rendered.pods():
        for volume in (one for one in pod.spec["volumes"] if "image" in one):
            assert volume["name"] == "bundles"
            assert re.fullmatch(r"registry\.example\.com/\S+@sha256:[0-9a-f]{64}", volume["image"]["reference"])
            assert volume["image"]["pullPolicy"] == "IfNotPresent"


def test_user_and_ports_agree_in_dockerfile_and_manifests(deployed: Rendered) -> None:
    ports = {port["containerPort"] for port in deployed.pod("ticket-router").container("service")["ports"]}
    assert f"\nUSER {USER}:{USER}\n" in DOCKERFILE
    assert "EXPOSE " + " ".join(map(str, sorted(ports))) in DOCKERFILE


def test_the_base_alone_is_refused() -> None:
    """It mounts a volume that only a bundle component defines, so the API server refuses the incomplete Deployment."""
    spec = render(ROOT / "k8s/base").pod("ticket-router").spec
    assert "bundles" in {mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
    assert "bundles" not in {volume["name"] for volume in spec["volumes"]}


def _names(rendered: Rendered, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in rendered.all(kind)}


def _sources(volume: dict[str, Any]) -> set[str]:
    return {volume[kind][key] for kind, key in REFERENCES.items() if kind in volume}


def _environment_sources(rendered: Rendered) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in (one for pod in rendered.pods() for one in pod.containers):
        found += [next(iter(source.values())) for source in one.get("envFrom", ())]
        values = [variable.get("valueFrom", {}) for variable in one.get("env", ())]
        found += [value[kind] for value in values for kind in ("secretKeyRef", "configMapKeyRef") if kind in value]
    return found


def _bytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit]
