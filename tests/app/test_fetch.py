"""`python -m service fetch` as an init container runs it: real command, real registry, real service afterwards."""

import base64
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import oras.client
import pytest

from models.bundle.bundle import open_bundle
from service.delivery import download
from service.delivery.errors import DeliveryError
from service.delivery.fetch import fetch
from tests.support.delivery import (
    PASSWORD,
    USER,
    Answer,
    Handler,
    cut_short,
    digest_of,
    order,
    packed,
    registry,
    reply,
    scripted,
    silent,
    status,
    whole,
)
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
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WAITS", (0.001, 0.001, 0.001))
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="module")
def open_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("open") / "registry") as host:
        yield host


@pytest.fixture(scope="module")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("closed") / "registry", password=True) as host:
        yield host


def push(host: str, *files: Path, password: bool = False) -> str:
    """The SHA-256 of the manifest, as the registry gives it."""
    client = oras.client.OrasClient(insecure=True, auth_backend="basic" if password else "token")
    if password:
        client.auth.set_basic_auth(USER, PASSWORD)
    names = [str(path) for path in files]
    answer = client.push(target=f"{host}/team/bundles:july", files=names, disable_path_validation=True)
    client.session.close()
    return str(answer.headers["Docker-Content-Digest"]).removeprefix("sha256:")


def config_of(host: str, folder: Path) -> Path:
    """A config.json as `docker login` and a pull secret have it."""
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return folder


def test_a_fetched_bundle_is_served(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """From an archive behind a signed URL to a decided ticket; the log tells each step, and no signature."""
    archive = packed(tiny_bundle_path, tmp_path / "b.tar.gz")
    with scripted(status(500), whole(archive.read_bytes())) as server:
        url = f"{server.url}/b.tar.gz?X-Amz-Signature={SECRET}"
        run = run_cli(
            "fetch", "--from", url, "--digest", f"sha256:{digest_of(archive)}", "--to", str(tmp_path), "--json"
        )
    assert (run.returncode, run.stderr) == (0, "")
    assert SECRET not in run.stdout
    events = [json.loads(line)["event"] for line in run.stdout.splitlines()]
    assert events == ["fetching", "trying again", "unpacking", "bundle ready"]
    with serving(tmp_path / "current") as service, service.client() as client:
        decision = client.post("/v1/route", json={"subject": "Invoice", "body": "I was charged twice."}).json()
    assert decision["model"]["version"] == tiny_bundle_path.name


def test_a_wrong_digest_is_one_line_and_nothing_is_there(archive: Path, tmp_path: Path) -> None:
    """The pod says what is wrong and stays unready: exit 2, expected and got, no `current`."""
    run = run_cli("fetch", "--from", str(archive), "--digest", ZEROS, "--to", str(tmp_path))
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith(f"error: {archive}: wrong digest: expected {ZEROS}, got sha256:{digest_of(archive)}")
    assert [path.name for path in tmp_path.iterdir()] == [".fetch"]


def test_a_file_is_fetched_by_an_image_without_the_group(archive: Path, tmp_path: Path) -> None:
    """A mounted archive needs nothing; a URL says what to install."""
    assert SLIM.exists(), "no .venv-service: run `make service-env`, or `make test`, which does"
    command = [SLIM, "-m", "service", "fetch", "--digest", f"sha256:{digest_of(archive)}", "--to", tmp_path, "--from"]
    run = subprocess.run([*command, "s3://bucket/key"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert run.stderr == ("error: the fetch group is not installed; install it with: pip install --group fetch\n")
    run = subprocess.run([*command, str(archive)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (0, "")
    assert f"{tmp_path / 'current'} points at it" in run.stdout


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
def test_a_stopped_download_is_begun_anew(archive: Path, tmp_path: Path, stop: signal.Signals, code: int) -> None:
    """Killed or asked to stop in the middle of it, nothing half-delivered is visible, and the next run delivers."""
    to, content = tmp_path / "bundles", archive.read_bytes()
    command = [sys.executable, "-m", "service", "fetch", "--to", str(to), "--digest", f"sha256:{digest_of(archive)}"]
    with scripted(silent(content), whole(content)) as server:
        process = subprocess.Popen([*command, "--from", f"{server.url}/b.tar.gz"], cwd=ROOT, stderr=subprocess.DEVNULL)
        wait_until(lambda: (to / ".fetch" / "work" / "archive").exists(), 30)
        process.send_signal(stop)
        assert process.wait(30) == code
        assert [path.name for path in to.iterdir()] == [".fetch"]
        assert fetch(order(f"{server.url}/b.tar.gz", digest_of(archive), to)).version
    assert not (to / ".fetch" / "work").exists()
    assert open_bundle(to / "current")


def test_a_bundle_is_pulled_from_a_registry_by_its_manifests_digest(
    archive: Path, open_registry: str, tmp_path: Path
) -> None:
    """The tag is for people: it may since be another bundle's, or no one's."""
    digest = push(open_registry, archive)
    for number, tag in enumerate((":july", "", ":never-pushed")):
        delivered = fetch(order(f"oci://{open_registry}/team/bundles{tag}", digest, tmp_path / str(number)))
        assert open_bundle(tmp_path / str(number) / "current").version == delivered.version


def test_a_registry_without_that_manifest_is_told(archive: Path, open_registry: str, tmp_path: Path) -> None:
    """A digest that it does not have, a repository that it does not have."""
    push(open_registry, archive)
    for name in ("team/bundles:july", "team/others"):
        with pytest.raises(DeliveryError, match=rf"^oci://{open_registry}/{name}: not found \(404\)"):
            fetch(order(f"oci://{open_registry}/{name}", "0" * 64, tmp_path))


def test_a_manifest_of_two_layers_is_refused(archive: Path, open_registry: str, tmp_path: Path) -> None:
    """Which of them the bundle is would be a guess."""
    shutil.copy(archive, tmp_path / "second.tar.gz")
    digest = push(open_registry, archive, tmp_path / "second.tar.gz")
    with pytest.raises(DeliveryError, match="with one layer"):
        fetch(order(f"oci://{open_registry}/team/bundles", digest, tmp_path))


def test_a_closed_registry_is_opened_by_config_json(
    archive: Path, closed_registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pull secret, mounted where DOCKER_CONFIG says; without it or with another's, access is denied."""
    digest, source = push(closed_registry, archive, password=True), f"oci://{closed_registry}/team/bundles"
    monkeypatch.setenv("HOME", str(tmp_path))
    for config in (tmp_path, config_of("other.example", tmp_path)):
        monkeypatch.setenv("DOCKER_CONFIG", str(config))
        with pytest.raises(DeliveryError, match=r"access denied.*DOCKER_CONFIG"):
            fetch(order(source, digest, tmp_path / "bundles"))
    monkeypatch.setenv("DOCKER_CONFIG", str(config_of(closed_registry, tmp_path)))
    assert fetch(order(source, digest, tmp_path / "bundles")).version


def test_a_registry_that_lies_is_caught(archive: Path, tmp_path: Path) -> None:
    """Neither another manifest than asked for is believed, nor another layer than the manifest's."""
    layer = {"digest": ZEROS, "size": archive.stat().st_size}
    manifest = json.dumps({"layers": [layer]}).encode()
    (tmp_path / "manifest").write_bytes(manifest)
    with scripted(whole(manifest), whole(archive.read_bytes())) as server:
        source, digest = f"oci://127.0.0.1:{server.port}/bundles", digest_of(tmp_path / "manifest")
        with pytest.raises(DeliveryError, match=f"expected {ZEROS}, got sha256:{digest_of(archive)}"):
            fetch(order(source, digest, tmp_path))
    with scripted(whole(manifest)) as server, pytest.raises(DeliveryError, match=f"got sha256:{digest}"):
        fetch(order(f"oci://127.0.0.1:{server.port}/bundles", "0" * 64, tmp_path))


def wants_token(content: bytes) -> Answer:
    """A registry that sends its clients to a token server first, as the large ones do."""

    def answer(request: Handler) -> None:
        if request.path.startswith("/token"):
            return reply(request, 200, json.dumps({"token": SECRET}).encode())
        if request.headers.get("Authorization") == f"Bearer {SECRET}":
            return reply(request, 200, content)
        request.send_response(401)
        realm = f"http://{request.headers['Host']}/token"
        request.send_header("WWW-Authenticate", f'Bearer realm="{realm}",service="tests",scope="pull"')
        request.send_header("Content-Length", "0")
        return request.end_headers()

    return answer


def test_a_registrys_token_is_fetched_and_shown(tmp_path: Path) -> None:
    """The manifest comes with the token; what it holds is then judged as ever."""
    with scripted(wants_token(b"{}")) as server:
        with pytest.raises(DeliveryError, match="wrong digest"):
            fetch(order(f"oci://127.0.0.1:{server.port}/bundles", "0" * 64, tmp_path))
        assert [path.partition("?")[0] for path in server.asked][1] == "/token"


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Answer]]:
    """What the server answers that the clients of all three object stores are pointed at."""
    answers: list[Answer] = [status(500)]
    with scripted(lambda request: answers[0](request)) as server:
        account = {"gcs_base_url": server.url, "client_email": "", "private_key": "", "private_key_id": ""}
        variables = {
            "AWS_ENDPOINT": server.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AZURE_STORAGE_ENDPOINT": f"{server.url}/account",
            "AZURE_STORAGE_ACCOUNT_NAME": "account",
            "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(SECRET.encode()).decode(),
            "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({**account, "disable_oauth": True}),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield answers


@pytest.mark.parametrize(
    ("source", "path", "signed"),
    [
        ("s3://bucket/a/b.tar.gz", "/bucket/a/b.tar.gz", "AWS4-HMAC-SHA256 Credential=key/"),
        ("gs://bucket/a/b.tar.gz", "/bucket/a%2Fb%2Etar%2Egz", ""),
        ("az://container/a/b.tar.gz", "/account/container/a/b.tar.gz", "SharedKey account:"),
    ],
)
def test_an_object_is_fetched(
    archive: Path, tmp_path: Path, stores: list[Answer], source: str, path: str, signed: str
) -> None:
    """The key under its bucket or container, signed with the environment's credentials, if there are any."""
    asked = []

    def answer(request: Handler) -> None:
        asked.append((request.path, request.headers["Authorization"] or ""))
        reply(request, 200, archive.read_bytes())

    stores[0] = answer
    assert fetch(order(source, digest_of(archive), tmp_path, insecure_http=True)).version
    assert asked[0][0] == path
    assert asked[0][1].startswith(signed)


def test_an_object_that_breaks_off_is_asked_for_again(archive: Path, tmp_path: Path, stores: list[Answer]) -> None:
    """Half an object is no other object."""
    content = archive.read_bytes()

    def answer(request: Handler) -> None:
        stores[0] = whole(content)
        cut_short(content)(request)

    stores[0] = answer
    assert fetch(order("s3://bucket/b.tar", digest_of(archive), tmp_path, insecure_http=True)).version


@pytest.mark.parametrize(
    ("code", "told"),
    [(403, "access denied.*AWS_ACCESS_KEY_ID"), (404, "not found"), (503, "the store answered 503; tried 4 times")],
)
def test_a_stores_refusal_is_told(tmp_path: Path, stores: list[Answer], code: int, told: str) -> None:
    """In one line that names the address, and repeats nothing of the store's."""
    stores[0] = status(code)
    with pytest.raises(DeliveryError, match=f"^s3://bucket/b.tar: {told}") as caught:
        fetch(order("s3://bucket/b.tar", "0" * 64, tmp_path, insecure_http=True))
    assert "secret-of-the-server" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("stores")
def test_a_store_with_a_plain_endpoint_wants_the_flag(tmp_path: Path) -> None:
    """Nobody sends credentials in the clear unawares."""
    with pytest.raises(DeliveryError, match=r"unencrypted.*--insecure-http"):
        fetch(order("s3://bucket/b.tar", "0" * 64, tmp_path))


def test_an_account_that_is_not_named_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's containers lie in an account; without it there is nobody to ask."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(DeliveryError, match=r"^az://container/b\.tar: .*Account must be specified"):
        fetch(order("az://container/b.tar", "0" * 64, tmp_path))
