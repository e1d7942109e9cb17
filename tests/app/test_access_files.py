"""The keys file of a running service: reloads, refusals, SIGHUP; and the command that writes the file."""

import hashlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.access import POLL_SECONDS
from service.access.keyring import Keyring
from service.access.keys_file import parse_keys
from service.cli.main import main
from tests.support.keys import Known, file_of
from tests.support.process import Service, run_cli, serving
from tests.support.waiting import wait_until

CANARY = "canary-7f3a"
OLD, NEW, OPS = Known("zendesk"), Known("zammad"), Known("ops", ("admin",))


def put(path: Path, content: str) -> None:
    """Replace the file atomically, as a tool that writes secrets does."""
    aside = path.with_suffix(".new")
    aside.write_text(content)
    aside.replace(path)


def status(service: Service, known: Known) -> int:
    """The status of a ticket, on a new connection."""
    return httpx.post(service.url + "/v1/route", json={"body": "hello"}, headers=known.header, timeout=30).status_code


def admin_status(service: Service, known: Known) -> int:
    return httpx.get(service.management_url + "/admin/status", headers=known.header, timeout=30).status_code


def audits(service: Service) -> list[dict[str, Any]]:
    return [event for event in service.events if event["event"] == "audit"]


@pytest.fixture
def keys_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "keys.toml"
    put(path, file_of(OLD, OPS))
    return path


def test_a_running_service_reloads_its_keys_file(tiny_bundle_path: Path, keys_file: Path) -> None:
    """A changed file is used within seconds; an invalid file changes only log and gauge; SIGHUP reloads too."""
    with serving(tiny_bundle_path, "--keys-file", str(keys_file)) as service:
        assert (status(service, OLD), status(service, NEW)) == (200, 401)
        put(keys_file, file_of(NEW, OPS))
        wait_until(lambda: status(service, NEW) == 200)
        assert status(service, OLD) == 401
        put(keys_file, f"{CANARY} = {NEW.key}")
        wait_until(lambda: service.samples()["ticket_router_keys_last_reload_successful"] == 0)
        assert status(service, NEW) == 200
        put(keys_file, file_of(OLD, NEW, OPS))
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: status(service, OLD) == 200)
        wait_until(lambda: any(line["action"] == "reload" for line in audits(service)))
        outcomes = [(line["action"], line["outcome"]) for line in audits(service)]
        assert sorted(outcomes) == [("keys", "done"), ("keys", "done"), ("keys", "refused"), ("reload", "done")]
        assert {line["who"] for line in audits(service) if line["action"] == "reload"} == {"signal"}
        assert CANARY not in json.dumps(service.events)
        assert NEW.key not in json.dumps(service.events)


def test_a_withdrawn_key_is_refused_after_the_next_poll(tiny_bundle_path: Path, keys_file: Path) -> None:
    """After its digest is removed from the list: first of one caller of several, then of the last caller."""
    with serving(tiny_bundle_path, "--keys-file", str(keys_file)) as service:
        assert (status(service, OLD), admin_status(service, OPS)) == (200, 200)
        put(keys_file, OLD.withdrawn + OPS.entry)
        wait_until(lambda: status(service, OLD) == 401, seconds=POLL_SECONDS + 2)
        assert admin_status(service, OPS) == 200
        put(keys_file, OPS.withdrawn)
        wait_until(lambda: admin_status(service, OPS) == 401, seconds=POLL_SECONDS + 2)
        samples = service.samples()
        assert (samples["ticket_router_keys"], samples["ticket_router_keys_last_reload_successful"]) == (1, 1)


@pytest.mark.parametrize(
    "content",
    ["", "keys = []", None, file_of(OLD).replace("sha256", "# sha256")],
    ids=["empty", "no entries", "deleted", "a line removed"],
)
def test_an_invalid_keys_file_withdraws_no_key(tiny_bundle_path: Path, keys_file: Path, content: str | None) -> None:
    """The file may just be being written: the previous keys stay valid, and the gauge shows the failure."""
    with serving(tiny_bundle_path, "--keys-file", str(keys_file)) as service:
        if content is None:
            keys_file.unlink()
        else:
            put(keys_file, content)
        wait_until(lambda: service.samples()["ticket_router_keys_last_reload_successful"] == 0)
        assert status(service, OLD) == 200


def test_sighup_reads_the_keys_file_at_once(tiny_bundle_path: Path, keys_file: Path) -> None:
    """Repeated until the signal arrives before the next regular check."""
    with serving(tiny_bundle_path, "--keys-file", str(keys_file)) as service:

        def signalled() -> bool:
            seen = len(service.events)
            put(keys_file, file_of(Known("zendesk"), OPS))
            service.process.send_signal(signal.SIGHUP)
            wait_until(lambda: len(looks(service, seen)) == 1)
            return {line["who"] for line in looks(service, seen)} == {"signal"}

        wait_until(signalled)


def looks(service: Service, seen: int) -> list[dict[str, Any]]:
    """The audit lines about the keys file since then."""
    return [event for event in service.events[seen:] if event["event"] == "audit" and event["action"] == "keys"]


@pytest.mark.parametrize("content", [f"[[keys]]\nname = {CANARY}", None], ids=["broken", "missing"])
def test_an_unusable_file_at_start_is_a_one_line_error(tmp_path: Path, content: str | None) -> None:
    """Exit status 2; the content of the file is not repeated."""
    path = tmp_path / "keys.toml"
    if content is not None:
        path.write_text(content)
    run = run_cli("--keys-file", str(path), "--port", "0", "--management-port", "0")
    assert run.returncode == 2
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"error: {path}: the keys file ")
    assert CANARY not in run.stderr + run.stdout


def keys(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """Output of `python -m service keys …`."""
    assert main(["keys", *arguments]) == code
    out, err = capsys.readouterr()
    return out, err


def test_a_new_key_is_printed_once_and_its_entry_accepts_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key is alone on standard output, the entry with its digest on standard error; `check` lists the entry."""
    path = tmp_path / "keys.toml"
    out, err = keys(capsys, "new", "--name", "zendesk", "--role", "route", "--tickets-per-second", "5")
    path.write_text(err[err.index("[[keys]]") :])
    key = out.strip().encode()
    assert key.decode() not in err
    found = Keyring(parse_keys(path.read_bytes(), path)).find(key)
    assert found is not None
    assert found.name == "zendesk"
    begins = hashlib.sha256(key).hexdigest()[:12]
    assert keys(capsys, "check", str(path)) == (f"zendesk  route; 1 key ({begins}); 5 tickets/s, 5 at once\n", "")


def test_a_key_is_rotated_in_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second call gives the name a second valid key; --json prints both as JSON."""
    path = tmp_path / "keys.toml"
    asked = ("new", "--name", "zendesk", "--role", "route", "--file", str(path))
    first, second = keys(capsys, *asked)[0].strip(), json.loads(keys(capsys, *asked, "--json")[0])["key"]
    ring = Keyring(parse_keys(path.read_bytes(), path))
    assert [ring.find(key.encode()) for key in (first, second)] == ring.callers * 2
    (entry,) = json.loads(keys(capsys, "check", str(path), "--json")[0])
    assert (entry["name"], entry["roles"]) == ("zendesk", ["route"])
    assert entry["sha256_begins"] == [hashlib.sha256(key.encode()).hexdigest()[:12] for key in (second, first)]


def test_a_withdrawn_caller_is_shown_as_withdrawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its rate from the file; its next key is its only one."""
    path = tmp_path / "keys.toml"
    path.write_text(Known("zendesk", further="tickets_per_second = 5\nburst = 70").withdrawn)
    assert keys(capsys, "check", str(path))[0] == "zendesk  route; no key: withdrawn; 5 tickets/s, 70 at once\n"
    _, err = keys(capsys, "new", "--name", "zendesk", "--role", "route", "--file", str(path))
    assert err.endswith(f"{path}: zendesk has a new key\n")


def test_a_key_with_an_expiry_in_the_future_is_created(capsys: pytest.CaptureFixture[str]) -> None:
    _, err = keys(capsys, "new", "--name", "a", "--role", "route", "--expires", "2999-01-01")
    assert "expires = 2999-01-01T00:00:00+00:00\n" in err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("new", "--name", "watch", "--role", "route"), "--name"),
        (("new", "--name", "A b", "--role", "route"), "--name: 1 to 63 lower-case letters"),
        (("new", "--name", "a", "--role", "boss"), "'--role': 'boss' is not one of 'route', 'feedback', 'review', 'admin'"),
        (("new", "--name", "a", "--role", "route", "--burst", "3"), "--burst"),
        (("new", "--name", "a", "--role", "route", "--tickets-per-second", "0"), "--tickets-per-second"),
        (("new", "--name", "a", "--role", "route", "--expires", "2020-01-01"), "--expires: this time is in the past"),
        (("new", "--name", "a", "--role", "route", "--file", "/nowhere/keys.toml"), "/nowhere/keys.toml"),
        (("check", "/nowhere/keys.toml"), "/nowhere/keys.toml"),
    ],
)
def test_an_invalid_option_is_a_one_line_error(
    arguments: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 2 and the correction; no unusable key is printed."""
    out, err = keys(capsys, *arguments, code=2)
    (line,) = err.splitlines()
    assert named in line
    assert out == ""
