"""The overlays' settings: each name is a setting, each value is valid, and a wrong value is refused."""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from service.cli.flags import SettingsError, settings_from
from service.settings import Settings
from tests.faults.process.mounts import read_only
from tests.manifests.render import FOLDERS, Rendered, render
from tests.support.postgres import running_postgres
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
    """The overlay `cpu` with one more setting."""
    above = os.path.relpath(FOLDERS["cpu"], tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{above}]\n"
        "configMapGenerator:\n"
        "  - {name: ticket-router-settings, namespace: ticket-router, behavior: merge, literals: [%s]}\n" % literal
    )
    return render(tmp_path)


def _bundle(rendered: Rendered) -> dict[str, str]:
    """The source of the bundle that the fetching container is given."""
    variables = rendered.pod("ticket-router").container("fetch")["env"]
    (name,) = {one["valueFrom"]["configMapKeyRef"]["name"] for one in variables if "valueFrom" in one}
    data: dict[str, str] = rendered.one("ConfigMap", name)["data"]
    return data


def _filled(argument: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        argument = argument.replace(name, value)
    return argument


def test_every_setting_of_an_overlay_is_known_and_valid(deployed: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's own settings read the ConfigMap, and refuse an unknown name and a wrong value."""
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
        (
            "records_password_file",
            "records",
            {"secretName": "ticket-router-records", "optional": False, "defaultMode": 0o440},
        ),
        (
            "connections_file",
            "helpdesks",
            {"secretName": "ticket-router-helpdesks", "optional": False, "defaultMode": 0o440},
        ),
        ("bundle_key", "bundle-key", {"name": "ticket-router-bundle-key", "optional": False}),
    ],
)
def test_a_changed_key_or_password_reaches_the_running_service(
    setting: str, name: str, source: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key file is in a folder mounted from a Secret or ConfigMap: a file mounted alone would not be updated."""
    everything = render(FOLDERS["everything"])
    file: Path = getattr(_settings(everything.settings(), monkeypatch), setting)
    pod = everything.pod("ticket-router")
    mounts = {one["mountPath"]: one for one in pod.container("service")["volumeMounts"]}
    assert mounts[str(file.parent)] == {"name": name, "mountPath": str(file.parent), "readOnly": True}
    (volume,) = [one for one in pod.spec["volumes"] if one["name"] == name]
    assert source in volume.values()


def test_a_stopping_pod_has_time_for_its_accepted_requests(deployed: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    """preStop and the drain end ten seconds before the kubelet kills the pod."""
    pod = deployed.pod("ticket-router")
    waits = pod.container("service")["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = _settings(deployed.settings(), monkeypatch).drain_seconds
    assert waits == 10
    assert waits + drain + 10 <= pod.spec["terminationGracePeriodSeconds"]


def test_the_probes_use_the_right_paths_and_times(deployed: Rendered) -> None:
    """A minute to start; readiness; a liveness that ignores load; all on the management port."""
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


def test_a_rollout_removes_a_pod_only_after_the_next_is_ready(deployed: Rendered) -> None:
    """maxUnavailable 0, and a budget that nevertheless allows draining a node."""
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
def test_merged_settings_leave_the_ports_and_the_drain_unchanged(literal: str, tmp_path: Path) -> None:
    """Otherwise a ready pod could listen on a port that its Service does not use, or be killed during a longer
    drain."""
    assert _overlay(tmp_path, literal).settings() == render(FOLDERS["cpu"]).settings()


def test_a_fetch_fits_its_volume_and_the_rollout(deployed: Rendered) -> None:
    """The volume holds archive and content at their largest together; a fetch that is too slow ends before the
    rollout's deadline."""
    patience = deployed.one("Deployment", "ticket-router")["spec"]["progressDeadlineSeconds"]
    for pod in deployed.pods():
        for fetch in (one for one in pod.containers if one["name"] == "fetch"):
            limits = dict(argument.removeprefix("--").split("=") for argument in fetch["args"][2:])
            (volume,) = (one for one in pod.spec["volumes"] if one["name"] == "bundles")
            assert volume["emptyDir"] == {"sizeLimit": "3Gi"}
            assert 2 * int(limits["max-bytes"]) < 3 * 2**30
            assert int(limits["timeout"]) <= patience / 2


def test_tracing_records_one_request_in_a_hundred() -> None:
    """As docs/observe.md recommends; the caller's sampling decision takes precedence."""
    settings = render(FOLDERS["everything"]).settings()
    sampler = {name: value for name, value in settings.items() if name.startswith("OTEL_TRACES")}
    assert sampler == {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"}


@pytest.mark.parametrize("overlay", ["cpu", "dev"])
def test_the_service_starts_with_the_environment_of_an_overlay(
    overlay: str, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """The environment that the kubelet would set, except for the bundle's folder, the state folder and the ports."""
    env = {"PATH": os.environ["PATH"], **render(FOLDERS[overlay]).settings()}
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path), env=env) as service:
        assert service.management("/readyz").status_code == 200


def test_the_component_records_in_postgresql(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Its URL with another address; the first start migrates, so no Job has to."""
    settings = render(FOLDERS["everything"]).settings()
    with running_postgres() as server:
        records = settings["TICKET_ROUTER_RECORDS"].replace("postgresql.database.svc:5432", f"127.0.0.1:{server.port}")
        server.new_database("router")
        password = tmp_path / "password"
        password.write_text("secret\n")
        env = {"PATH": os.environ["PATH"], **render(FOLDERS["cpu"]).settings(), "TICKET_ROUTER_RECORDS": records}
        env["TICKET_ROUTER_RECORDS_PASSWORD_FILE"] = str(password)
        flags = ("--state-dir", str(tmp_path / "state"))
        with serving(tiny_bundle_path, *flags, env=env) as service, service.client() as client:
            decision = client.post("/v1/route", json={"body": "hello"}).json()["decision_id"]
            assert client.get(f"/v1/decisions/{decision}").status_code == 200
    assert not (tmp_path / "state/records.sqlite3").exists()


def test_the_service_starts_from_an_image_volume(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Mounted read-only, with a folder `current` instead of a link; signed, as the component requires."""
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
    """The pod ends with 2, names the wrong value, and was never ready."""
    done = run_cli("--port", "0", "--management-port", "0", env=_overlay(tmp_path, literal).settings())
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert named in line


def test_the_gpu_overlay_refuses_a_machine_without_one(tiny_bundle_path: Path) -> None:
    """`cuda`, not `auto`: a pod whose GPU does not work must not serve at a tenth of the speed."""
    env = render(FOLDERS["gpu"]).settings() | {"CUDA_VISIBLE_DEVICES": ""}
    flags = ("--bundle", str(tiny_bundle_path), "--port", "0", "--management-port", "0")
    done = run_cli(*flags, env=env)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "cuda" in line


@pytest.mark.parametrize("right", [True, False])
def test_the_fetching_container_installs_the_bundle_of_its_digest_or_nothing(
    right: bool, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """Its own command line, with an archive's path as the URL; the overlay's digest of zeros is refused in one line."""
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


def test_the_check_of_overlays_finds_a_wrong_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a wrong setting fails here before it fails in a pod."""
    with pytest.raises(SettingsError, match="TICKET_ROUTER_DEVICE"):
        _settings(_overlay(tmp_path, "TICKET_ROUTER_DEVICE=gpu").settings(), monkeypatch)
