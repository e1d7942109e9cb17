"""Who may open the desk, and from where."""

import stat
from pathlib import Path

import httpx
import pytest
from itsdangerous import TimestampSigner, URLSafeTimedSerializer

from service.desk.session import COOKIE, SESSION_SECONDS
from tests.desk.conftest import Running
from tests.support.desk import left_to_people, visitor
from tests.support.keys import Known, file_of
from tests.support.process import run_cli, serving
from tests.support.waiting import wait_until

PERSON, MACHINE, ADMIN = Known("ana", ("review",)), Known("machine", ("route",)), Known("lead", ("admin",))
HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--records", "off"), "--desk needs a record"),
        (("--host", "0.0.0.0"), "--desk needs --keys-file or --desk-oidc-issuer"),
        (("--desk-oidc-issuer", "http://localhost:1"), "--desk-oidc-issuer needs --desk-oidc-client-id"),
        (("--desk-labels-file", "/nonexistent.toml"), "/nonexistent.toml: the labels file cannot be read"),
        (("--desk-secret-file", "/nonexistent"), "/nonexistent: the desk's secret cannot be read"),
    ],
)
def test_start_is_refused_in_one_line(
    tiny_bundle_path: Path, tmp_path: Path, flags: tuple[str, ...], line: str
) -> None:
    ports = ("--port", "0", "--management-port", "0")
    done = run_cli("--bundle", str(tiny_bundle_path), "--state-dir", str(tmp_path), *ports, "--desk", "true", *flags)
    assert done.returncode != 0
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_there_is_no_desk_without_the_setting(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path)) as service, service.client() as client:
        assert client.get("/desk/").status_code == 404


def test_keys_sign_in_by_their_roles_until_they_are_withdrawn(tiny_bundle_path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(file_of(PERSON, MACHINE, ADMIN))
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--keys-file", str(keys))
    with serving(tiny_bundle_path, *flags) as service, httpx.Client(base_url=service.url) as client:
        page = client.get("/desk/tickets/x?order=surest")
        assert (page.status_code, page.headers["location"]) == (
            303,
            "/desk/login?next=%2Fdesk%2Ftickets%2Fx%3Forder%3Dsurest",
        )
        assert client.get("/desk/", headers=HTMX).status_code == 401
        for key in (MACHINE.key, PERSON.key[:-1], "", "é"):
            refused = client.post("/desk/login", data={"key": key})
            assert refused.status_code == 401
            assert COOKIE not in refused.cookies
            assert key == "" or key not in refused.text
        secure = {"X-Forwarded-Proto": "https"}
        signed = client.post("/desk/login", data={"key": PERSON.key, "next": "/desk/?age=day"}, headers=secure)
        assert (signed.status_code, signed.headers["location"]) == (303, "/desk/?age=day")
        cookie = signed.headers["set-cookie"].lower()
        assert all(each in cookie for each in ("httponly", "samesite=strict", "secure", "path=/desk"))
        with visitor(service, PERSON.key) as person, visitor(service, ADMIN.key) as lead:
            assert "ana" in person.get("/").text
            assert "lead" in lead.get("/").text
            keys.write_text(file_of(MACHINE, ADMIN))
            wait_until(lambda: person.get("/", headers=HTMX).status_code == 401)
            assert lead.get("/").status_code == 200


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/v1/model", "/desk/\\evil", "/desk/\r\nx: y", ""]
)
def test_after_signing_in_nobody_is_led_elsewhere(running: Running, elsewhere: str) -> None:
    with running.service.client() as client:
        answer = client.get("/desk/login", params={"next": elsewhere})
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/")


def test_change_needs_the_sessions_token_and_a_page_of_our_own(running: Running) -> None:
    (decision,) = left_to_people(running.service)
    path, form = f"/tickets/{decision}/decide", {"department": "billing"}
    with visitor(running.service) as client:
        token = client.headers.pop("X-CSRF-Token")
        assert client.post(path, data=form).status_code == 403
        assert client.post(path, data=form | {"csrf": token[:-1]}).status_code == 403
        foreign = {"Sec-Fetch-Site": "cross-site"}
        assert client.post(path, data=form | {"csrf": token}, headers=foreign).status_code == 403
        assert client.post(path, content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
        assert client.post(path, data=form | {"csrf": token}).status_code == 200


def test_without_keys_a_page_of_another_name_cannot_open_it(running: Running) -> None:
    with running.service.client() as client:
        refused = client.get("/desk/login", headers={"Host": f"evil.example:{running.service.port}"})
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


def test_session_outlives_a_restart_and_ends_after_a_day_of_work(tiny_bundle_path: Path, tmp_path: Path) -> None:
    flags = ("--state-dir", str(tmp_path), "--desk", "true")
    with serving(tiny_bundle_path, *flags) as service, visitor(service) as client:
        cookie = client.cookies[COOKIE]
    secret = tmp_path / "desk.secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600

    class Earlier(TimestampSigner):
        def get_timestamp(self) -> int:
            return super().get_timestamp() - SESSION_SECONDS - 5

    old = URLSafeTimedSerializer(secret.read_bytes(), salt="desk session", signer=Earlier).dumps({})
    with serving(tiny_bundle_path, *flags) as service, service.client() as client:
        for value, status in ((cookie, 200), (old, 401), (cookie[:-1], 401), ("x", 401)):
            answer = client.get("/desk/", headers=HTMX | {"Cookie": f"{COOKIE}={value}"})
            assert answer.status_code == status
