"""`python -m service connections`, against a helpdesk on loopback."""

import json
from pathlib import Path

import pytest

from tests.support.helpdesk import ENVIRONMENT, SECRET, TOKEN, Helpdesk, connections_file, payload
from tests.support.process import run_cli


def test_check_names_connection_and_key_of_each_fault_and_no_secret(
    tmp_path: Path, desk: Helpdesk, labels: dict[str, str]
) -> None:
    file = connections_file(tmp_path, desk.url, labels)
    good = run_cli("connections", "check", "--connections-file", str(file), env=ENVIRONMENT)
    assert (good.returncode, good.stdout) == (
        0,
        "[desk] ok: department route (address and token not checked: the kind generic has no call for it)\n",
    )
    file.write_text(file.read_text().replace('"billing" = "T-billing"', '"billing" = "T-gone"'))
    gone = run_cli("connections", "check", "--connections-file", str(file), env=ENVIRONMENT)
    private = run_cli(
        "connections",
        "check",
        "--connections-file",
        str(connections_file(tmp_path, desk.url, labels, allow_private=False)),
        env=ENVIRONMENT,
    )
    assert (gone.returncode, gone.stderr) == (
        2,
        "[desk] fields.department.targets.billing: the helpdesk has no team T-gone\n",
    )
    assert (private.returncode, "allow_private" in private.stderr) == (2, True)
    for each in (good, gone, private):
        assert SECRET not in each.stdout + each.stderr
        assert TOKEN not in each.stdout + each.stderr


@pytest.mark.parametrize(
    ("change", "environment", "line"),
    [
        ({}, {"DESK_SECRET": ""}, "[desk] secret: environment variable DESK_SECRET is not set"),
        ({}, {"DESK_SECRET": "change-me-please-now"}, "[desk] secret: environment variable DESK_SECRET has the value"),
        ({}, {"DESK_TOKEN": "short"}, "[desk] token: environment variable DESK_TOKEN is shorter than 16 characters"),
        (
            {},
            {"DESK_TOKEN": "töken-of-the-outgoing-calls"},
            "[desk] token: environment variable DESK_TOKEN has characters",
        ),
        ({"mode": "on"}, {}, "[desk] mode: Input should be"),
        ({"secrets": "s3cr3t-in-the-file"}, {}, "[desk] secrets: Extra inputs are not permitted"),
        ({"max_ticket_age_days": 0}, {}, "[desk] max_ticket_age_days: Input should be greater than 0"),
    ],
)
def test_fault_of_the_file_ends_the_start_with_its_key_and_without_its_value(
    tmp_path: Path, labels: dict[str, str], change: dict[str, object], environment: dict[str, str], line: str
) -> None:
    file = connections_file(tmp_path, "https://desk.example", labels, **change)
    done = run_cli(
        "--connections-file", str(file), "--state-dir", str(tmp_path / "s"), "--bundle", str(tmp_path / "none"),
        env=ENVIRONMENT | environment,
    )  # fmt: skip
    assert done.returncode == 2
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    for value in ("s3cr3t-in-the-file", "change-me-please-now", *ENVIRONMENT.values()):
        assert value not in done.stderr


def test_check_prints_each_fault_of_the_file_on_a_line_of_its_own(tmp_path: Path, labels: dict[str, str]) -> None:
    file = connections_file(tmp_path, "https://desk.example", labels, mode="on", max_ticket_age_days=0)
    done = run_cli("connections", "check", "--connections-file", str(file), env=ENVIRONMENT)
    lines = [line.partition(": ")[0] for line in done.stderr.splitlines()]
    assert (done.returncode, lines) == (2, ["[desk] mode", "[desk] max_ticket_age_days"])


def test_event_needs_a_secret_of_standard_webhooks(tmp_path: Path, desk: Helpdesk, labels: dict[str, str]) -> None:
    file = connections_file(tmp_path, desk.url, labels)
    event = f'\n[desk.event]\nurl = "{desk.url}/hook"\nsecret = {{ env = "DESK_EVENT" }}\n'
    file.write_text(file.read_text() + event)
    flags = ("connections", "check", "--connections-file", str(file))
    assert run_cli(*flags, env=ENVIRONMENT).returncode == 0
    done = run_cli(*flags, env=ENVIRONMENT | {"DESK_EVENT": "no-key-of-standard-webhooks"})
    assert (done.returncode, "event.secret: not a secret of Standard Webhooks" in done.stderr) == (2, True)


def test_secret_that_is_pasted_into_the_file_is_refused_and_not_repeated(
    tmp_path: Path, labels: dict[str, str]
) -> None:
    file = connections_file(tmp_path, "https://desk.example", labels)
    file.write_text(file.read_text().replace('{ env = "DESK_SECRET" }', '"s3cr3t-in-the-file"'))
    done = run_cli("connections", "check", "--connections-file", str(file), env=ENVIRONMENT)
    line = "[desk] secret: must be { env = NAME } or { file = PATH }, not the secret itself"
    assert (done.returncode, done.stderr) == (2, f"error: {file}: {line}\n")


def test_check_shows_the_departments_whose_mode_differs(tmp_path: Path, desk: Helpdesk, labels: dict[str, str]) -> None:
    file = connections_file(tmp_path, desk.url, labels, mode="suggest")
    file.write_text(file.read_text().replace('attribute = "team"', 'attribute = "team"\nmodes = { billing = "route" }'))
    done = run_cli("connections", "check", "--connections-file", str(file), env=ENVIRONMENT)
    assert done.stdout.startswith("[desk] ok: department suggest, department.billing route (")


def test_ids_need_no_quotes(tmp_path: Path, desk: Helpdesk, labels: dict[str, str]) -> None:
    file = connections_file(tmp_path, desk.url, labels)
    file.write_text(file.read_text().replace('"billing" = "T-billing"', '"billing" = 360000000011'))
    done = run_cli("connections", "check", "--connections-file", str(file), env=ENVIRONMENT)
    assert done.stderr == "[desk] fields.department.targets.billing: the helpdesk has no team 360000000011\n"


def test_test_and_replay_show_what_would_be_done_and_call_nothing(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: dict[str, str]
) -> None:
    file = connections_file(tmp_path, desk.url, labels, mode="suggest")
    sample = tmp_path / "sample.json"
    sample.write_bytes(payload(desk.add("1"), desk.add("2", state="closed")))
    flags = ("desk", "--payload", str(sample), "--connections-file", str(file))
    read = run_cli("connections", "test", *flags, env=ENVIRONMENT)
    assert [json.loads(each)["ignored"] for each in read.stdout.splitlines()] == [None, "state"]
    decided = run_cli("connections", "replay", *flags, "--bundle", str(tiny_bundle_path), env=ENVIRONMENT)
    first, second = (json.loads(each) for each in decided.stdout.splitlines())
    assert first["writes"]["values"] == {}
    assert set(first["writes"]["tags"]) <= {"ai_review", "ai_suggestion"}
    assert second["ignored"] == "state"
    shown = run_cli(
        "connections", "replay", *flags, "--mode", "shadow", "--bundle", str(tiny_bundle_path), env=ENVIRONMENT
    )
    assert json.loads(shown.stdout.splitlines()[0])["why"] == "mode"
    assert desk.calls == 0


def test_test_says_what_a_payload_lacks(tmp_path: Path, labels: dict[str, str]) -> None:
    file = connections_file(tmp_path, "https://desk.example", labels)
    sample = tmp_path / "sample"
    flags = ("connections", "test", "desk", "--payload", str(sample), "--connections-file", str(file))
    for content, line in (("{", "not JSON"), ('{"events": [{}]}', "no id of a ticket at ticket.id")):
        sample.write_text(content)
        done = run_cli(*flags, env=ENVIRONMENT)
        assert (done.returncode, done.stderr) == (2, f"error: {sample}: no payload of generic: {line}\n")
