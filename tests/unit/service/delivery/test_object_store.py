"""Downloads from failing web servers and object stores, over real sockets, and their error messages."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.delivery import object_store
from service.delivery.download import DeliveryError, download, parse_source
from service.delivery.object_store import read_object
from tests.support.certificates import Authority
from tests.support.delivery import (
    Answer,
    Handler,
    cut_short,
    digest_of,
    dripping,
    redirect,
    reply,
    resumable,
    scripted,
    silent,
    status,
    whole,
)

CONTENT = b"an archive, as far as a download knows" * 10
SECRET = "s3cr3t"
ATTEMPTS = 3


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "MAX_RETRIES", ATTEMPTS - 1)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def fetched(
    url: str,
    folder: Path,
    digest: str | None = None,
    seconds: float = 20,
    max_bytes: int = 1000,
    insecure_http: bool = False,
) -> bytes:
    """Only the download, of any content."""
    expected = folder / "expected"
    expected.write_bytes(CONTENT)
    source, path = parse_source(url, insecure_http), folder / "archive"
    chunks = read_object(source, max_bytes=max_bytes, seconds=seconds)
    download(chunks, source.shown, digest or digest_of(expected), path, max_bytes=max_bytes, seconds=seconds)
    return path.read_bytes()


def refusal(url: str, folder: Path, **options: object) -> str:
    with pytest.raises(DeliveryError) as caught:
        fetched(url, folder, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.isprintable()
    assert SECRET not in message
    assert "secret-of-the-server" not in message
    return message


@pytest.mark.parametrize(
    "faults",
    [[], [status(500), status(503)], [status(429), status(408)], [cut_short(CONTENT)], [cut_short(CONTENT)] * 2],
    ids=["none", "500 and 503", "429 and 408", "cut short", "cut short twice"],
)
def test_a_temporary_failure_is_retried(tmp_path: Path, faults: list[Answer]) -> None:
    """An interrupted download is resumed at its end."""
    with scripted(*faults, resumable(CONTENT)) as server:
        assert fetched(f"{server.url}/b.tar", tmp_path) == CONTENT
        assert len(server.asked) == len(faults) + 1


def test_a_permanent_failure_is_reported_after_some_attempts(tmp_path: Path) -> None:
    """A server that is down must not delay the start of a pod forever."""
    with scripted(status(500)) as server:
        message = refusal(f"{server.url}/b.tar?sig={SECRET}", tmp_path)
        assert message == f"{server.url}/b.tar: the server answered 500"
        assert len(server.asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (401, "access denied: are the user"),
        (403, "access denied"),
        (404, "not found"),
        (400, "the server answered 400"),
    ],
)
def test_a_client_error_is_not_retried(tmp_path: Path, code: int, reason: str) -> None:
    """Without credentials or file, another attempt would fail too."""
    with scripted(status(code)) as server:
        message = refusal(f"http://user:{SECRET}@127.0.0.1:{server.port}/b.tar?sig={SECRET}", tmp_path)
        assert message.startswith(f"{server.url}/b.tar: {reason}")
        assert len(server.asked) == 1


def test_a_wrong_digest_is_reported_with_both_digests(tmp_path: Path) -> None:
    """Without a retry: the bytes would be the same."""
    with scripted(whole(CONTENT)) as server:
        message = refusal(f"{server.url}/b.tar", tmp_path, digest="0" * 64)
        assert f"expected sha256:{'0' * 64}, got sha256:{digest_of(tmp_path / 'expected')}" in message
        assert len(server.asked) == 1


def test_a_signed_url_reaches_the_server_as_given(tmp_path: Path) -> None:
    """Path and query with their escapes, user and password as a header; no compression is requested."""
    with scripted(whole(CONTENT)) as server:
        fetched(f"http://user:{SECRET}@127.0.0.1:{server.port}/a%20b/c+d.tar?X-Amz-Signature={SECRET}%2F", tmp_path)
        assert server.asked == [f"/a%20b/c+d.tar?X-Amz-Signature={SECRET}%2F"]
        headers = {name.lower(): value for name, value in server.headers[0].items()}
        assert headers["authorization"] == "Basic " + base64.b64encode(f"user:{SECRET}".encode()).decode()
        assert "accept-encoding" not in headers


def test_a_signed_url_of_a_known_store_is_a_plain_url() -> None:
    """obstore would treat it as its store, and sign it again with missing credentials."""
    url = "https://bucket.s3.amazonaws.com/b.tar?X-Amz-Signature=1"
    store, path = object_store._store(parse_source(url), 20)
    assert (type(store).__name__, path) == ("HTTPStore", "")


def test_a_server_that_stops_sending_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_store, "READ_TIMEOUT_SECONDS", 0.2)
    with scripted(silent(CONTENT), resumable(CONTENT)) as server:
        assert fetched(f"{server.url}/b.tar", tmp_path) == CONTENT
        assert len(server.asked) == 2


def test_a_server_without_resume_is_reported(tmp_path: Path) -> None:
    """The next run, which the kubelet starts, begins again."""
    with scripted(cut_short(CONTENT), whole(CONTENT)) as server:
        message = refusal(f"{server.url}/b.tar", tmp_path)
        assert message == f"{server.url}/b.tar: the connection broke, and the server cannot resume a download"


@pytest.mark.parametrize("answer", [dripping(CONTENT), silent(CONTENT, 3)], ids=["drips", "falls silent"])
def test_the_deadline_ends_any_download(tmp_path: Path, answer: Answer) -> None:
    """--timeout, whatever the server does."""
    with scripted(answer) as server:
        assert "not done within 0.5 s; raise --timeout" in refusal(f"{server.url}/b.tar", tmp_path, seconds=0.5)


def test_a_download_with_a_too_large_declared_size_is_not_started(tmp_path: Path) -> None:
    with scripted(lambda request: reply(request, 200, b"", length=10**15)) as server:
        assert "larger than --max-bytes 1000" in refusal(f"{server.url}/b.tar", tmp_path)
    assert (tmp_path / "archive").stat().st_size == 0


def test_an_undeclared_size_is_refused(tmp_path: Path) -> None:
    """obstore accepts no response without Content-Length."""

    def answer(request: Handler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(100):
            request.wfile.write(bytes(1000))

    with scripted(answer) as server:
        assert "does not say how large the archive is" in refusal(f"{server.url}/b.tar", tmp_path)


def test_the_password_is_not_sent_to_a_redirect_target(tmp_path: Path) -> None:
    with scripted(whole(CONTENT)) as other, scripted(redirect(f"http://localhost:{other.port}/x")) as server:
        assert fetched(f"http://user:{SECRET}@127.0.0.1:{server.port}/b.tar", tmp_path) == CONTENT
        assert "authorization" in {name.lower() for name in server.headers[0]}
        assert "authorization" not in {name.lower() for name in other.headers[0]}


def test_a_redirect_to_an_unencrypted_url_is_refused(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From https to http, even on this machine: the other server gets no request, and its URL is not repeated."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with scripted(whole(CONTENT)) as other:
        to = f"http://127.0.0.1:{other.port}/b.tar?sig={SECRET}"
        with scripted(redirect(to), tls=authority.context()) as server:
            assert "unencrypted, or redirects to an unencrypted URL" in refusal(f"{server.url}/b.tar", tmp_path)
        assert other.asked == []


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (f"ftp://files.example/b.tar?sig={SECRET}", "redirects to an unencrypted URL"),
        (f"/b.tar?{SECRET}", "in a circle"),
    ],
)
def test_an_invalid_redirect_is_reported(tmp_path: Path, target: str, reason: str) -> None:
    """To another scheme, or back to itself."""
    with scripted(redirect(target)) as server:
        assert reason in refusal(f"{server.url}/b.tar", tmp_path)


def test_a_private_certificate_authority_is_trusted_when_configured(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SSL_CERT_FILE; without, the error names this variable."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with scripted(whole(CONTENT), tls=authority.context()) as server:
        message = refusal(f"{server.url}/b.tar?sig={SECRET}", tmp_path)
        assert message.endswith("its certificate is not trusted; name your own authority's file in SSL_CERT_FILE")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert fetched(f"{server.url}/b.tar", tmp_path) == CONTENT


def test_a_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Except for the hosts in NO_PROXY."""
    with scripted(whole(CONTENT)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert fetched("http://files.invalid/b.tar", tmp_path, insecure_http=True) == CONTENT
        assert proxy.asked == ["http://files.invalid/b.tar"]
        monkeypatch.setenv("NO_PROXY", "files.invalid")
        assert "the connection failed" in refusal("http://files.invalid/b.tar", tmp_path, insecure_http=True)


@pytest.mark.parametrize("url", ["https://exa mple/b.tar", "s3://bucket/../../b.tar", "az://con tainer/b.tar"])
def test_a_url_that_the_library_refuses_is_reported(tmp_path: Path, url: str) -> None:
    """Before any connection."""
    assert refusal(url, tmp_path) == f"{url}: not a valid URL"


def test_a_refused_connection_is_reported_with_the_system_message(tmp_path: Path) -> None:
    """The library's own message would repeat the whole URL."""
    message = refusal(f"http://127.0.0.1:1/b.tar?sig={SECRET}", tmp_path)
    assert message == "http://127.0.0.1:1/b.tar: the connection failed (Connection refused)"


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Answer]]:
    """The scripted responses of one server, which is the endpoint of all three object stores."""
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
def test_an_object_is_fetched(tmp_path: Path, stores: list[Answer], source: str, path: str, signed: str) -> None:
    """By its bucket or container and key, signed with the environment's credentials, if any."""
    asked = []

    def answer(request: Handler) -> None:
        asked.append((request.path, request.headers["Authorization"] or ""))
        reply(request, 200, CONTENT)

    stores[0] = answer
    assert fetched(source, tmp_path, insecure_http=True) == CONTENT
    assert asked[0][0] == path
    assert asked[0][1].startswith(signed)


def test_an_interrupted_object_download_is_resumed(tmp_path: Path, stores: list[Answer]) -> None:
    def answer(request: Handler) -> None:
        stores[0] = resumable(CONTENT)
        cut_short(CONTENT)(request)

    stores[0] = answer
    assert fetched("s3://bucket/b.tar", tmp_path, insecure_http=True) == CONTENT


@pytest.mark.parametrize(
    ("code", "reason"),
    [(403, "access denied: are AWS_ACCESS_KEY_ID"), (404, "not found"), (503, "the server answered 503")],
)
def test_a_refusal_of_the_store_is_reported(tmp_path: Path, stores: list[Answer], code: int, reason: str) -> None:
    """In one line with the URL and without the store's response."""
    stores[0] = status(code)
    assert refusal("s3://bucket/b.tar", tmp_path, insecure_http=True).startswith(f"s3://bucket/b.tar: {reason}")


@pytest.mark.usefixtures("stores")
def test_a_store_with_an_unencrypted_endpoint_needs_the_flag(tmp_path: Path) -> None:
    """Credentials are not sent unencrypted by mistake."""
    assert "--insecure-http" in refusal("s3://bucket/b.tar", tmp_path)


def test_a_missing_account_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container of Azure belongs to an account, which the environment names."""
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    message = refusal("az://container/b.tar", tmp_path)
    assert message.startswith("az://container/b.tar: ")
    assert "Account must be specified" in message


@pytest.mark.usefixtures("stores")
def test_an_invalid_endpoint_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """obstore panics, which would print a traceback."""
    monkeypatch.setenv("AWS_ENDPOINT", f"ht tp://user:{SECRET}@store")
    assert "misspelt" in refusal("s3://bucket/b.tar", tmp_path)
