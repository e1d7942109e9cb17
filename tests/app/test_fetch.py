"""`python -m service fetch` as an init container runs it: real command, real server, real service afterwards."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.bundle.bundle import open_bundle
from tests.support.delivery import deliver, digest_of, packed, scripted, silent, status, whole
from tests.support.plain import plain_bundle
from tests.support.process import ROOT, run_cli, serving
from tests.support.waiting import wait_until

SLIM = ROOT / ".venv-service" / "bin" / "python"
SECRET = "s3cr3t"
ZEROS = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("archive")
    return packed(plain_bundle(place / "store"), place / "bundle.tar.gz")


@pytest.fixture(autouse=True)
def _without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


def test_a_fetched_bundle_is_served(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """From an archive behind a signed URL to a decided ticket; the log has each step and no signature."""
    archive = packed(tiny_bundle_path, tmp_path / "b.tar.gz")
    with scripted(status(500), whole(archive.read_bytes())) as server:
        url = f"{server.url}/b.tar.gz?X-Amz-Signature={SECRET}"
        run = run_cli(
            "fetch", "--from", url, "--digest", f"sha256:{digest_of(archive)}", "--to", str(tmp_path), "--json"
        )
    assert (run.returncode, run.stderr) == (0, "")
    assert SECRET not in run.stdout
    events = [json.loads(line)["event"] for line in run.stdout.splitlines()]
    assert events == ["fetching", "unpacking", "bundle ready"]
    with serving(tmp_path / "current") as service, service.client() as client:
        decision = client.post("/v1/route", json={"subject": "Invoice", "body": "I was charged twice."}).json()
    assert decision["model"]["version"] == tiny_bundle_path.name


def test_a_wrong_digest_is_a_one_line_error_and_installs_nothing(archive: Path, tmp_path: Path) -> None:
    """Exit status 2, both digests, no `current`: the pod stays unready."""
    run = run_cli("fetch", "--from", str(archive), "--digest", ZEROS, "--to", str(tmp_path))
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith(f"error: {archive}: wrong digest: expected {ZEROS}, got sha256:{digest_of(archive)}")
    assert [path.name for path in tmp_path.iterdir()] == [".fetch"]


def test_a_file_is_fetched_without_the_dependency_group(archive: Path, tmp_path: Path) -> None:
    """A URL needs the group; the error names it."""
    assert SLIM.exists(), "no .venv-service: run `make service-env`, or `make test`, which does"
    command = [SLIM, "-m", "service", "fetch", "--digest", f"sha256:{digest_of(archive)}", "--to", tmp_path, "--from"]
    run = subprocess.run([*command, "s3://bucket/key"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert run.stderr == ("error: the fetch group is not installed; install it with: pip install --group fetch\n")
    run = subprocess.run([*command, str(archive)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert f"{tmp_path / 'current'} points at it" in run.stdout


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
def test_an_interrupted_download_is_restarted(archive: Path, tmp_path: Path, stop: signal.Signals, code: int) -> None:
    """Killed or stopped while the server is silent: no partial bundle is visible, and the next run delivers."""
    to, content = tmp_path / "bundles", archive.read_bytes()
    command = [sys.executable, "-m", "service", "fetch", "--to", str(to), "--digest", f"sha256:{digest_of(archive)}"]
    with scripted(silent(content, 60), whole(content)) as server:
        process = subprocess.Popen([*command, "--from", f"{server.url}/b.tar.gz"], cwd=ROOT, stderr=subprocess.DEVNULL)
        wait_until(lambda: server.asked, 30)
        process.send_signal(stop)
        assert process.wait(5) == code
        assert [path.name for path in to.iterdir()] == [".fetch"]
        assert deliver(f"{server.url}/b.tar.gz", digest_of(archive), to).version
    assert not (to / ".fetch" / "work").exists()
    assert open_bundle(to / "current")


def test_a_registry_url_is_refused_with_the_alternatives(tmp_path: Path) -> None:
    """Earlier versions accepted `oci://`; its user and password are not repeated."""
    source = f"oci://user:{SECRET}@registry.example/bundles:july"
    run = run_cli("fetch", "--from", source, "--digest", ZEROS, "--to", str(tmp_path / "bundles"))
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
    assert run.stderr.startswith("error: --from: oci:// is not fetched; mount the image as a Kubernetes image volume")
    assert SECRET not in run.stderr
    assert not (tmp_path / "bundles").exists()
