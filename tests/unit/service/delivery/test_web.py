"""Downloads over HTTP from servers that misbehave, and what is told of it."""

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from service.delivery import download, web
from service.delivery.download import Stream
from service.delivery.errors import DeliveryError
from service.delivery.sources import open_source
from tests.support.delivery import (
    Answer,
    cut_short,
    digest_of,
    dripping,
    order,
    redirect,
    reply,
    scripted,
    silent,
    status,
    whole,
)

CONTENT = b"an archive, as far as a download knows" * 10
SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WAITS", (0.001, 0.001, 0.001))
    monkeypatch.setenv("NO_PROXY", "*")


def fetched(url: str, folder: Path, digest: str | None = None, seconds: float = 20, max_bytes: int = 1000) -> bytes:
    """The download alone, of an archive that need not be one."""
    expected = folder / "expected"
    expected.write_bytes(CONTENT)
    asked = order(url, digest or digest_of(expected), folder, seconds=seconds, max_bytes=max_bytes)

    def open_stream() -> AbstractContextManager[Stream]:
        return open_source(asked.source, asked.digest, asked.limits, insecure_http=False)

    download.download(open_stream, folder / "archive", asked.limits)
    return (folder / "archive").read_bytes()


def refusal(url: str, folder: Path, **options: object) -> str:
    with pytest.raises(DeliveryError) as caught:
        fetched(url, folder, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert SECRET not in message
    assert "secret-of-the-server" not in message
    return message


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [status(500), status(503)],
        [cut_short(CONTENT)],
        [status(429), cut_short(CONTENT), status(502)],
    ],
    ids=["none", "500 and 503", "cut short", "three kinds"],
)
def test_a_passing_fault_is_tried_again(tmp_path: Path, faults: list[Answer]) -> None:
    """Up to three times: what comes in the end is the whole archive."""
    with scripted(*faults, whole(CONTENT)) as server:
        assert fetched(f"{server.url}/b.tar", tmp_path) == CONTENT
        assert len(server.asked) == len(faults) + 1


def test_a_lasting_fault_is_told_after_four_attempts(tmp_path: Path) -> None:
    """A server that is down does not hold the pod's start up for ever."""
    with scripted(status(500)) as server:
        message = refusal(f"{server.url}/b.tar?sig={SECRET}", tmp_path)
        assert message == f"{server.url}/b.tar: the server answered 500; tried 4 times"
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("code", "told"),
    [(403, "access denied: are credentials set"), (401, "access denied"), (404, "not found (404)"), (400, "400")],
)
def test_a_refusal_is_not_tried_again(tmp_path: Path, code: int, told: str) -> None:
    """No credentials, no such file: another attempt gives the same answer."""
    with scripted(status(code)) as server:
        message = refusal(f"http://user:{SECRET}@127.0.0.1:{server.port}/b.tar?sig={SECRET}", tmp_path)
        assert told in message
        assert len(server.asked) == 1


def test_another_archive_is_told_with_both_digests(tmp_path: Path) -> None:
    """Expected and got, once: the same bytes would come again."""
    with scripted(whole(CONTENT)) as server:
        message = refusal(f"{server.url}/b.tar", tmp_path, digest="0" * 64)
        assert f"expected sha256:{'0' * 64}, got sha256:{digest_of(tmp_path / 'expected')}" in message
        assert len(server.asked) == 1


def test_a_signed_url_is_asked_for_whole(tmp_path: Path) -> None:
    """The query goes to the server as it was given, and the user and password as it wants them."""
    with scripted(whole(CONTENT)) as server:
        fetched(f"http://user:{SECRET}@127.0.0.1:{server.port}/b.tar?X-Amz-Signature={SECRET}%2F", tmp_path)
        assert server.asked == [f"/b.tar?X-Amz-Signature={SECRET}%2F"]
        assert server.headers[0]["Authorization"].startswith("Basic ")
        assert server.headers[0]["Accept-Encoding"] == "identity"


def test_a_server_that_falls_silent_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence ends the attempt, not the delivery."""
    monkeypatch.setattr(web, "SILENT_SECONDS", 0.2)
    with scripted(silent(CONTENT), whole(CONTENT)) as server:
        assert fetched(f"{server.url}/b.tar", tmp_path) == CONTENT
        assert len(server.asked) == 2


def test_a_dripping_server_meets_the_deadline(tmp_path: Path) -> None:
    """It never falls silent, and never ends: --timeout does."""
    with scripted(dripping(CONTENT)) as server:
        assert "not done within 0.5 s" in refusal(f"{server.url}/b.tar", tmp_path, seconds=0.5)


def test_a_declared_giant_is_not_begun(tmp_path: Path) -> None:
    """A Content-Length over the limit is refused before a byte of it is read."""
    with scripted(lambda request: reply(request, 200, b"", length=10**15)) as server:
        assert "larger than --max-bytes 1000" in refusal(f"{server.url}/b.tar", tmp_path)
    assert not (tmp_path / "archive").exists()


def test_an_undeclared_giant_is_cut(tmp_path: Path) -> None:
    """A server that does not say how much there is gets no more than the limit."""

    def answer(request: object) -> None:
        request.send_response(200)  # type: ignore[attr-defined]
        request.end_headers()  # type: ignore[attr-defined]
        for _ in range(100):
            request.wfile.write(bytes(1000))  # type: ignore[attr-defined]

    with scripted(answer) as server:
        assert "larger than --max-bytes 1000" in refusal(f"{server.url}/b.tar", tmp_path)


def test_a_redirect_takes_no_password_along(tmp_path: Path) -> None:
    """Stores redirect to where the bytes lie; the other host learns nothing."""
    with scripted(whole(CONTENT)) as other, scripted(redirect(f"http://localhost:{other.port}/x")) as server:
        url = f"http://user:{SECRET}@127.0.0.1:{server.port}/b.tar"
        assert fetched(url, tmp_path) == CONTENT
        assert "Authorization" in server.headers[0]
        assert "Authorization" not in other.headers[0]


@pytest.mark.parametrize("target", [f"http://files.example/b.tar?sig={SECRET}", "ftp://files.example/b.tar"])
def test_a_redirect_out_of_encryption_is_refused(tmp_path: Path, target: str) -> None:
    """A redirect to another machine's plain http is not followed, and not repeated."""
    with scripted(redirect(target)) as server:
        message = refusal(f"{server.url}/b.tar", tmp_path)
        assert message.startswith(f"{server.url}/b.tar: ")
        assert len(server.asked) == 1


def test_plain_http_is_for_this_machine_only(tmp_path: Path) -> None:
    """Elsewhere it takes the flag, which the message names."""
    assert "--insecure-http" in refusal(f"http://files.example/b.tar?sig={SECRET}", tmp_path)


def test_nobody_there_is_told_in_the_systems_words(tmp_path: Path) -> None:
    """The library's own message would repeat the whole URL."""
    message = refusal(f"http://127.0.0.1:1/b.tar?sig={SECRET}", tmp_path)
    assert message == "http://127.0.0.1:1/b.tar: no connection (Connection refused); tried 4 times"


def test_an_unknown_certificate_is_not_trusted(tmp_path: Path) -> None:
    """What answers https without being it, or with a certificate of its own making, is told as such."""
    with scripted(whole(CONTENT)) as server:
        assert "certificate" in refusal(f"https://127.0.0.1:{server.port}/b.tar?sig={SECRET}", tmp_path)
