"""`POST /admin/challenger`: who may put which bundle beside the serving one, and what every replica makes of it."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from models.bundle.bundle import open_bundle
from service.challengers import check as check_module
from service.challengers.check import check
from service.errors import ChallengerRefused
from service.inference.engine import open_engine
from service.settings import Settings
from tests.support import spoiled
from tests.support.challenging import SECONDS, challenger, put, put_and_wait, state_of
from tests.support.keys import Known, file_of
from tests.support.postgres import running_postgres
from tests.support.process import Service, serving
from tests.support.reloading import Shelf, ask, reload, version_of
from tests.support.signing import new_signer
from tests.support.tiny import rewritten
from tests.support.waiting import wait_until


def relabelled(bundle: Path, store: Path) -> Path:
    fields = [field.model_dump(mode="json") for field in open_bundle(bundle).manifest.fields]
    before = fields[0]["labels"][0]["name"]
    fields[0]["labels"][0]["name"] = "quite another"
    golden = (bundle / "golden.jsonl").read_bytes().replace(f'"{before}"'.encode(), b'"quite another"')
    return rewritten(bundle, store, fields=fields, files={"golden.jsonl": golden})


def without_a_field(bundle: Path, store: Path) -> Path:
    manifest = open_bundle(bundle).manifest
    fields = [field.model_dump(mode="json") for field in manifest.fields]
    fields[-1]["name"] = "mood"
    models = [
        model.model_dump(mode="json", exclude={"reference"}) | {"fields": fields}  # a reference names the fields, too
        for model in manifest.models
    ]
    return rewritten(bundle, store, models=models)


REFUSED: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
    "damaged": (spoiled.damaged, "damaged, copy it anew"),
    "of another release": (spoiled.foreign, "text cleaning version 999"),
    "gone": (spoiled.deleted, "holds no bundle"),
    "other labels": (relabelled, "has other labels in department: adds quite another; lacks"),
    "other fields": (without_a_field, "has other fields than the serving one: adds mood; lacks"),
}


@pytest.mark.parametrize("role", ["shadow", "canary"])
@pytest.mark.parametrize("name", REFUSED)
def test_bundle_that_cannot_run_beside_the_serving_one_is_refused_before_it_is_recorded(
    running: Service, shelf: Shelf, tiny_bundle_path: Path, name: str, role: str
) -> None:
    make, message = REFUSED[name]
    folder = make(tiny_bundle_path, shelf.store)
    answer = put(running, role, folder.name, 0.5)
    assert (answer.status_code, answer.json()["code"]) == (409, "challenger_refused")
    assert message in answer.json()["detail"]
    assert challenger(running, role) is None


@pytest.mark.parametrize(
    ("version", "share", "message"),
    [
        ("../../etc", 0.5, "16 hexadecimal digits"),
        ("../../etc", 0, "16 hexadecimal digits"),
        ("0" * 16, 0.5, "holds no bundle"),
        (None, 0.5, "name the bundle"),
    ],
)
def test_malformed_or_missing_version_is_refused(
    running: Service, version: str | None, share: float, message: str
) -> None:
    answer = put(running, "canary", version, share)
    assert (answer.status_code, answer.json()["code"]) == (409, "challenger_refused")
    assert message in answer.json()["detail"]
    assert "etc" not in answer.text


def test_serving_bundle_itself_is_refused(running: Service, shelf: Shelf) -> None:
    assert "is the one that serves" in put(running, "shadow", shelf.first, 1).json()["detail"]


def test_withdrawing_nothing_succeeds(running: Service) -> None:
    assert put(running, "canary", None, 0).json() == {"challengers": []}


@pytest.mark.parametrize("content", [{"share": 1.5}, {"share": -1}, {"role": "king"}, {"why": " "}, {"more": 1}])
def test_malformed_request_is_refused(running: Service, shelf: Shelf, content: dict[str, object]) -> None:
    body = {"role": "shadow", "bundle": shelf.other, "share": 1, "why": "x"} | content
    answer = httpx.post(running.management_url + "/admin/challenger", json=body, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_reason_is_recorded_without_the_character_that_postgresql_refuses(running: Service, shelf: Shelf) -> None:
    body = {"role": "shadow", "bundle": shelf.other, "share": 1, "why": "a\0b"}
    answer = httpx.post(running.management_url + "/admin/challenger", json=body, timeout=30)
    assert [each["why"] for each in answer.json()["challengers"]] == ["a\ufffdb"]


def test_number_too_large_for_a_float_is_named(running: Service) -> None:
    body = '{"role": "shadow", "share": 1e400, "why": "x"}'
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(running.management_url + "/admin/challenger", content=body, headers=headers, timeout=30)
    assert [(each["code"], each["message"]) for each in answer.json()["errors"]] == [
        ("finite_number", "This must be a finite number")
    ]


def test_service_without_records_has_no_challengers(service: Service) -> None:
    answer = put(service, "shadow", "0" * 16, 1)
    assert (answer.status_code, answer.json()["code"]) == (404, "records_off")


def test_unsigned_bundle_is_refused_where_signatures_are_required(shelf: Shelf, state: Path, tmp_path: Path) -> None:
    signer = new_signer(tmp_path)
    signer.sign(shelf.store / shelf.first)
    with serving(shelf.current, "--state-dir", str(state), "--bundle-key", str(signer.public)) as service:
        assert "not signed" in put(service, "canary", shelf.other, 0.5).json()["detail"]
        signer.sign(shelf.store / shelf.other)
        put_and_wait(service, "shadow", shelf.other)


def test_bundle_that_does_not_fit_into_memory_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(device="cpu")
    champion = open_engine(settings, lambda _report: None, shelf.current)
    check(settings, champion, shelf.store / shelf.other, "shadow")
    monkeypatch.setattr(check_module, "memory_available_bytes", lambda: 1 << 20)
    with pytest.raises(ChallengerRefused, match=r"needs some \d+ MB more memory, and 1 MB are free"):
        check(settings, champion, shelf.store / shelf.other, "shadow")


def test_only_an_administrator_changes_it_and_the_record_has_who(shelf: Shelf, state: Path, tmp_path: Path) -> None:
    desk, ops = Known("desk"), Known("ops", ("admin",))
    file = tmp_path / "keys.toml"
    file.write_text(file_of(desk, ops))
    with serving(shelf.current, "--state-dir", str(state), "--keys-file", str(file)) as service:
        assert put(service, "shadow", shelf.other, 1, headers=desk.header).status_code == 403
        assert put(service, "shadow", shelf.other, 1, headers=ops.header).status_code == 200
        assert put(service, "shadow", None, 0, headers=ops.header).status_code == 200
        lines = [each for each in service.events if each.get("event") == "audit"]
        assert [(each["who"], each["action"], each["outcome"]) for each in lines] == [
            ("desk", "challenger", "forbidden"),
            ("ops", "challenger", "done"),
            ("ops", "challenger", "done"),
        ]
    with sqlite3.connect(state / "records.sqlite3") as connection:
        rows = connection.execute("SELECT role, bundle, share, who, why FROM challengers ORDER BY id").fetchall()
    assert rows == [
        ("shadow", shelf.other, 1.0, "ops", "November's data"),
        ("shadow", shelf.other, 0.0, "ops", "November's data"),
    ]


def test_every_replica_follows_within_five_seconds(shelf: Shelf, tmp_path: Path) -> None:
    with running_postgres() as server:
        flags = ("--records", server.new_database("replicas"))
        one = serving(shelf.current, "--state-dir", str(tmp_path / "one"), *flags)
        two = serving(shelf.current, "--state-dir", str(tmp_path / "two"), *flags)
        with one as first, two as second:
            put_and_wait(first, "canary", shelf.other, 1.0)
            wait_until(lambda: state_of(second, "canary") is not None, 5)
            wait_until(lambda: state_of(second, "canary") == "running", SECONDS)
            assert version_of(ask(second, id="T-1", body="hello")) == shelf.other
            put(second, "canary", None, 0)
            wait_until(lambda: state_of(first, "canary") is None, 5)
            assert version_of(ask(first, id="T-2", body="hello")) == shelf.first
            server.kill()
            wait_until(lambda: put(first, "shadow", shelf.other, 1).status_code == 503)
            assert put(first, "shadow", shelf.other, 1).json()["code"] == "records_unavailable"


def test_bundle_with_other_labels_that_serves_meanwhile_fails_the_challenger(
    running: Service, shelf: Shelf, tiny_bundle_path: Path
) -> None:
    put_and_wait(running, "canary", shelf.other, 0.5)
    put_and_wait(running, "shadow", rewritten(tiny_bundle_path, shelf.store, base_model="a third").name)
    assert reload(running, relabelled(tiny_bundle_path, shelf.store).name).status_code == 200
    for role in ("canary", "shadow"):
        wait_until(lambda: state_of(running, role) == "failed")  # noqa: B023
        assert "has other labels" in json.dumps(challenger(running, role))
    assert version_of(ask(running)) not in (shelf.first, shelf.other)


def test_bundle_whose_golden_rows_differ_fails_in_the_background(
    running: Service, shelf: Shelf, tiny_bundle_path: Path
) -> None:
    """Its digests match, so the request succeeds."""
    other = spoiled.changed_weights(tiny_bundle_path, shelf.store).name
    for role in ("canary", "shadow"):
        assert put(running, role, other, 1).status_code == 200
        wait_until(lambda: state_of(running, role) == "failed", SECONDS)  # noqa: B023
        assert "golden" in json.dumps(challenger(running, role))
    assert version_of(ask(running)) == shelf.first
    shutil.rmtree(shelf.store / other)
