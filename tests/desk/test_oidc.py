"""Signing in by an identity provider, a process of its own."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from service.access.caller import Role
from service.desk.oidc import person
from service.desk.session import COOKIE
from service.settings import Settings
from tests.support.process import Service, serving
from tests.support.waiting import refused, wait_until

PEOPLE = {
    "ana": {"email": "ana@example.com", "groups": ["support"]},
    "lead": {"email": "lead@example.com", "groups": ["support", "leads"]},
    "bo": {"email": "bo@example.com", "groups": ["sales"]},
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    people = [f"--user-claims={json.dumps({'sub': name} | claims)}" for name, claims in PEOPLE.items()]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *people]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: not refused(port), 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def service(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory, issuer: str) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "secret").write_text("s3cret\n")
    flags = ("--state-dir", str(folder), "--desk", "true", "--desk-oidc-issuer", issuer)
    flags += ("--desk-oidc-client-id", "desk", "--desk-oidc-client-secret-file", str(folder / "secret"))
    with serving(tiny_bundle_path, *flags, "--desk-oidc-review", "support", "--desk-oidc-admin", "leads") as running:
        yield running


def sign_in(client: httpx.Client, service: Service, sub: str) -> httpx.Response:
    """What a browser does: to the provider, there as this person, and back."""
    start = client.get(f"{service.url}/desk/oidc/start", params={"next": "/desk/?age=day"})
    assert start.status_code == 303
    back = client.post(start.headers["location"], data={"sub": sub})
    assert back.status_code in (302, 303), back.text
    return client.get(back.headers["location"])


def test_person_of_the_right_group_is_signed_in_and_led_on(service: Service) -> None:
    with httpx.Client() as client:
        page = client.get(f"{service.url}/desk/login").text
        assert "/desk/oidc/start" in page
        assert 'name="key"' not in page
        done = sign_in(client, service, "ana")
        assert done.status_code == 200, done.text
        assert 'content="0;url=/desk/?age=day"' in done.text
        assert "samesite=strict" in done.headers["set-cookie"].lower()
        assert "ana@example.com" in client.get(f"{service.url}/desk/").text
    with httpx.Client() as client:
        assert sign_in(client, service, "lead").status_code == 200


def test_person_without_the_group_gets_no_session(service: Service) -> None:
    with httpx.Client() as client:
        refusal = sign_in(client, service, "bo")
        assert refusal.status_code == 403
        assert COOKIE not in client.cookies
        assert client.get(f"{service.url}/desk/").status_code == 303


def test_callback_that_did_not_begin_here_is_refused(service: Service) -> None:
    with httpx.Client() as client, httpx.Client() as other:
        start = client.get(f"{service.url}/desk/oidc/start")
        back = client.post(start.headers["location"], data={"sub": "ana"}).headers["location"]
        assert other.get(back).status_code == 400, "another browser"
        wrong = re.sub(r"state=[^&]+", "state=x", back)
        assert client.get(wrong).status_code == 401
        assert client.get(f"{service.url}/desk/oidc/callback?error=access_denied&state=x").status_code == 401
        assert client.get(back).status_code == 200
        assert client.get(back).status_code == 400, "a second time"


def test_provider_that_does_not_answer_is_a_line(tiny_bundle_path: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--desk-oidc-client-id", "desk")
    flags += ("--desk-oidc-issuer", "http://127.0.0.1:9", "--desk-oidc-client-secret-file", str(tmp_path / "secret"))
    with serving(tiny_bundle_path, *flags) as service, service.client() as client:
        started = time.monotonic()
        answer = client.get("/desk/oidc/start")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert time.monotonic() - started < 15


def test_provider_with_another_issuer_is_a_line_until_it_is_mended(tiny_bundle_path: Path, tmp_path: Path) -> None:
    document = tmp_path / "web" / ".well-known" / "openid-configuration"
    document.parent.mkdir(parents=True)
    (tmp_path / "secret").write_text("s3cret")
    files = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as provider:
        threading.Thread(target=provider.serve_forever).start()
        issuer = f"http://127.0.0.1:{provider.server_port}"
        flags = ("--state-dir", str(tmp_path), "--desk", "true", "--desk-oidc-client-id", "desk")
        flags += ("--desk-oidc-issuer", issuer, "--desk-oidc-client-secret-file", str(tmp_path / "secret"))
        with serving(tiny_bundle_path, *flags) as service, service.client() as client:
            for named in ("https://other.example", None):
                document.write_text(json.dumps({"issuer": named}))
                answer = client.get("/desk/oidc/start")
                assert answer.status_code == 503
                assert "not the one that is set" in answer.text
            document.write_text(json.dumps({"issuer": issuer, "authorization_endpoint": f"{issuer}/authorize"}))
            assert client.get("/desk/oidc/start").headers["location"].startswith(f"{issuer}/authorize?")
        provider.shutdown()


@pytest.mark.parametrize(
    ("claims", "options", "expected"),
    [
        ({"sub": "1", "groups": "support"}, {"desk_oidc_review": "support"}, ("1@oidc", {Role.REVIEW})),
        ({"sub": "1", "email": "a@b.c", "email_verified": False}, {}, ("1@oidc", {Role.REVIEW})),
        ({"sub": "1", "email": "anonymous", "groups": ["x"]}, {"desk_oidc_review": "y"}, ("anonymous@oidc", set())),
        (
            {"sub": "1", "groups": {"leads": 1}},
            {"desk_oidc_admin": "leads", "desk_oidc_review": "y"},
            ("1@oidc", set()),
        ),
        (
            {"sub": "1", "preferred_username": "lea", "teams": ["leads"]},
            {"desk_oidc_claim": "teams", "desk_oidc_admin": "leads", "desk_oidc_review": "y"},
            ("lea@oidc", {Role.REVIEW, Role.ADMIN}),
        ),
    ],
)
def test_claims_give_name_and_roles(
    claims: dict[str, object], options: dict[str, str], expected: tuple[str, set[Role]]
) -> None:
    assert person(claims, Settings(**options)) == expected
