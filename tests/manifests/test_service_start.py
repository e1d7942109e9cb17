"""What the overlays say to the service: each name a setting, each value one it takes, and a wrong one refused."""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from service.cli.flags import SettingsError, settings_from
from service.settings import Settings
from tests.faults.mounts import read_only
from tests.manifests.render import FOLDERS, Rendered, render
from tests.support.process import run_cli, serving
from tests.support.signing import new_signer

PREFIX = "TICKET_ROUTER_"


def _settings(values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return settings_from({})


def _overlay(tmp_path: Path, literal: str) -> Rendered:
    """The overlay `cpu` with one setting more."""
    above = os.path.relpath(FOLDERS["cpu"], tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{above}]\n"
        "configMapGenerator:\n"
        "  - {name: ticket-router-settings, namespace: ticket-router, behavior: merge, literals: [%s]}\n" % literal
    )
    return render(tmp_path)


def _bundle(rendered: Rendered) -> dict[str, str]:
    """Where the fetching container is told to take the bundle from."""
    variables = rendered.pod("ticket-router").container("fetch")["env"]
    (name,) = {one["valueFrom"]["configMapKeyRef"]["name"] for one in variables if "valueFrom" in one}
    data: dict[str, str] = rendered.one("ConfigMap", name)["data"]
    return data


def _filled(argument: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        argument = argument.replace(name, value)
    return argument


def test_every_setting_of_an_overlay_is_one_and_has_a_value_it_takes(
    deployed: Rendered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ConfigMap is read by the service's own settings, which refuse an unknown name and a wrong value."""
    settings = _settings(deployed.settings(), monkeypatch)
    container = deployed.pod("ticket-router").container("service")
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert ports == {"http": settings.port, "management": settings.management_port}
    assert str(settings.state_dir) in mounts
    assert (settings.host, settings.management_host) == ("0.0.0.0", "0.0.0.0")


@pytest.mark.parametrize(
    ("setting", "name", "source"),
    [
        ("keys_file", "keys", {"secretName": "ticket-router-keys", "optional": False, "defaultMode": 0o440}),
        ("bundle_key", "bundle-key", {"name": "ticket-router-bundle-key", "optional": False}),
    ],
)
def test_a_changed_key_reaches_the_running_service(
    setting: str, name: str, source: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file lies in a folder that a Secret or ConfigMap is mounted as: a single file would stay as it was."""
    everything = render(FOLDERS["everything"])
    file: Path = getattr(_settings(everything.settings(), monkeypatch), setting)
    pod = everything.pod("ticket-router")
    mounts = {one["mountPath"]: one for one in pod.container("service")["volumeMounts"]}
    assert mounts[str(file.parent)] == {"name": name, "mountPath": str(file.parent), "readOnly": True}
    (volume,) = [one for one in pod.spec["volumes"] if one["name"] == name]
    assert source in volume.values()


def test_a_stopping_pod_has_time_for_what_it_accepted(deployed: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    """preStop and the drain end before the kubelet kills, by a margin of ten seconds."""
    pod = deployed.pod("ticket-router")
    waits = pod.container("service")["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = _settings(deployed.settings(), monkeypatch).drain_seconds
    assert waits == 10
    assert waits + drain + 10 <= pod.spec["terminationGracePeriodSeconds"]


def test_the_probes_ask_what_they_should(deployed: Rendered) -> None:
    """A minute to start; readiness, and a liveness that is not about load; all on the management port."""
    container = deployed.pod("ticket-router").container("service")
    probes = {name: container[f"{name}Probe"] for name in ("startup", "readiness", "liveness")}
    assert {name: probe["httpGet"]["path"] for name, probe in probes.items()} == {
        "startup": "/startupz",
        "readiness": "/readyz",
        "liveness": "/livez",
    }
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {"management"}
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] == 60
    assert probes["liveness"]["periodSeconds"] * probes["liveness"]["failureThreshold"] >= 30


def test_a_roll_out_never_takes_a_pod_before_the_next_is_ready(deployed: Rendered) -> None:
    """maxUnavailable 0, and a budget that lets a node be drained all the same."""
    spec = deployed.one("Deployment", "ticket-router")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert deployed.one("PodDisruptionBudget", "ticket-router")["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(
    "literal",
    [
        "TICKET_ROUTER_PORT=8000",
        "TICKET_ROUTER_MANAGEMENT_PORT=9000",
        "TICKET_ROUTER_HOST=127.0.0.1",
        "TICKET_ROUTER_MANAGEMENT_HOST=127.0.0.1",
        "TICKET_ROUTER_BUNDLE=/bundles/latest",
        "TICKET_ROUTER_STATE_DIR=/elsewhere",
        "TICKET_ROUTER_DRAIN_SECONDS=120",
    ],
)
def test_a_merged_setting_changes_nothing_that_the_pod_depends_on(literal: str, tmp_path: Path) -> None:
    """A pod that listens elsewhere would be ready and out of its Service's reach; one that drains longer is killed."""
    assert _overlay(tmp_path, literal).settings() == render(FOLDERS["cpu"]).settings()


def test_a_fetch_fits_its_volume_and_the_roll_out(deployed: Rendered) -> None:
    """Archive and content, each at the largest, lie there at once; one that is too slow ends before the roll-out has
    failed."""
    patience = deployed.one("Deployment", "ticket-router")["spec"]["progressDeadlineSeconds"]
    for pod in deployed.pods():
        for fetch in (one for one in pod.containers if one["name"] == "fetch"):
            limits = dict(argument.removeprefix("--").split("=") for argument in fetch["args"][2:])
            (volume,) = (one for one in pod.spec["volumes"] if one["name"] == "bundles")
            assert volume["emptyDir"] == {"sizeLimit": "3Gi"}
            assert 2 * int(limits["max-bytes"]) < 3 * 2**30
            assert int(limits["timeout"]) <= patience / 2


def test_tracing_records_one_request_in_a_hundred() -> None:
    """As docs/observe.md advises; what a caller has decided holds."""
    settings = render(FOLDERS["everything"]).settings()
    sampler = {name: value for name, value in settings.items() if name.startswith("OTEL_TRACES")}
    assert sampler == {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}


@pytest.mark.parametrize("overlay", ["cpu", "dev"])
def test_the_service_starts_with_the_environment_of_an_overlay(
    overlay: str, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """The very environment the kubelet would set, but for the bundle's folder, the state's and the ports."""
    env = {"PATH": os.environ["PATH"], **render(FOLDERS[overlay]).settings()}
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path), env=env) as service:
        assert service.management("/readyz").status_code == 200


def test_the_service_starts_from_an_image_volume(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Mounted read-only, with a folder `current` in the place of the pointer; signed, as the component asks."""
    image_volume, bundle = render(FOLDERS["image-volume"]), tmp_path / "bundles" / "current"
    assert image_volume.settings()["TICKET_ROUTER_BUNDLE"] == "/bundles/current"
    signer = new_signer(tmp_path)
    shutil.copytree(tiny_bundle_path.resolve(), bundle)
    signer.sign(bundle)
    env = {"PATH": os.environ["PATH"], **image_volume.settings(), "TICKET_ROUTER_BUNDLE_KEY": str(signer.public)}
    with (
        read_only(bundle.parent),
        serving(bundle, "--state-dir", str(tmp_path / "state"), env=env) as service,
        service.client() as client,
    ):
        assert client.post("/v1/route", json={"body": "hello"}).status_code == 200


@pytest.mark.parametrize(
    ("literal", "named"),
    [
        ("TICKET_ROUTER_DEVICE=gpu", "TICKET_ROUTER_DEVICE"),
        ("TICKET_ROUTER_DRAIN=20", "TICKET_ROUTER_DRAIN"),
        ("TICKET_ROUTER_RUNNERS=0", "TICKET_ROUTER_RUNNERS"),
    ],
)
def test_a_wrong_value_in_an_overlay_is_one_line_and_nothing_serves(literal: str, named: str, tmp_path: Path) -> None:
    """The pod ends with 2 and says which value is wrong; it was never ready."""
    done = run_cli("--port", "0", "--management-port", "0", env=_overlay(tmp_path, literal).settings())
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert named in line


def test_the_gpu_overlay_refuses_a_machine_without_one(tiny_bundle_path: Path) -> None:
    """`cuda`, not `auto`: a pod whose GPU does not work must not serve at a tenth of its speed."""
    env = render(FOLDERS["gpu"]).settings() | {"CUDA_VISIBLE_DEVICES": ""}
    flags = ("--bundle", str(tiny_bundle_path), "--port", "0", "--management-port", "0")
    done = run_cli(*flags, env=env)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cuda" in line


@pytest.mark.parametrize("right", [True, False])
def test_the_fetching_container_brings_the_bundle_of_its_digest_or_nothing(
    right: bool, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """Its own command line, an archive's path for the URL; the overlay's digest of zeros is refused in one line."""
    with tarfile.open(tmp_path / "bundle.tar", "w") as archive:
        archive.add(tiny_bundle_path.resolve(), tiny_bundle_path.resolve().name)
    digest = hashlib.sha256((tmp_path / "bundle.tar").read_bytes()).hexdigest()
    pod, config = render(FOLDERS["cpu"]).pod("ticket-router"), _bundle(render(FOLDERS["cpu"]))
    values = {
        "$(BUNDLE_URL)": str(tmp_path / "bundle.tar"),
        "$(BUNDLE_DIGEST)": f"sha256:{digest}" if right else config["digest"],
        "=/bundles": f"={tmp_path / 'bundles'}",
    }
    arguments = [_filled(argument, values) for argument in pod.container("fetch")["args"]]
    done = run_cli(*arguments)
    assert done.returncode == (0 if right else 2), done.stderr
    assert (tmp_path / "bundles/current").exists() is right
    if not right:
        (line,) = done.stderr.splitlines()
        assert digest in line


def test_a_wrong_setting_is_seen_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of all overlays above would catch it before any pod does."""
    with pytest.raises(SettingsError, match="TICKET_ROUTER_DEVICE"):
        _settings(_overlay(tmp_path, "TICKET_ROUTER_DEVICE=gpu").settings(), monkeypatch)
