"""Switches of automation through the management port, over sockets."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from ulid import ULID

from tests.support.keys import Known, file_of
from tests.support.postgres import running_postgres
from tests.support.process import Service, serving
from tests.support.waiting import wait_until

EVERYTHING_SECONDS = 5.0
"""Within which a switch holds at every replica."""


@pytest.fixture(scope="module")
def recording(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that records into a file. Shared: tests take back what they switch off."""
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path_factory.mktemp("state"))) as running:
        yield running


@pytest.fixture(scope="module")
def texts(recording: Service) -> dict[str, str]:
    """By outcome, a text that gets it from the model; also `low`: one with this likeliest priority."""
    found: dict[str, str] = {}
    with recording.client() as client:
        for number in range(400):
            body = f"Where is parcel {number} of order {number * 7}? {'Please hurry. ' * (number % 7)}"
            answer = client.post("/v1/route", json={"body": body}).json()
            found.setdefault(answer["outcome"], body)
            if len(found) == 3:
                break
    assert len(found) == 3, "the tiny bundle has all three outcomes"
    return found


def post(service: Service, **request: Any) -> httpx.Response:
    return httpx.post(f"{service.management_url}/admin/automation", json={"why": "a test", **request}, timeout=30)


def switched(service: Service, **request: Any) -> dict[str, Any]:
    response = post(service, **request)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def routed(service: Service, body: str, **ticket: Any) -> dict[str, Any]:
    with service.client() as client:
        # A key of its own: the text was asked before.
        headers = {"Idempotency-Key": str(ULID())}
        response = client.post("/v1/route", json={"body": body, **ticket}, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def in_force(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.management("/admin/status").json()["automation"]["switches"]
    return found


def test_switched_label_is_suggested_or_left_to_people_and_then_routed_again(
    recording: Service, texts: dict[str, str]
) -> None:
    before = routed(recording, texts["route"])
    department = before["department"]
    answer = switched(recording, label=department, mode="suggest")
    assert answer["who"] == "anonymous"
    suggested = routed(recording, texts["route"])
    switched(recording, label=department, mode="off")
    off = routed(recording, texts["route"])
    (switch,) = in_force(recording)
    switched(recording, label=department, mode="route")
    assert (suggested["outcome"], suggested["department"]) == ("suggest", department)
    assert (off["outcome"], off["department"], off["candidates"]) == ("review", None, before["candidates"])
    assert suggested["reason"] == off["reason"] == "automation_off"
    assert (switch["label"], switch["mode"], switch["why"], switch["matched"]) == (department, "off", "a test", 2)
    assert routed(recording, texts["route"])["outcome"] == "route"
    assert in_force(recording) == []


def test_record_of_a_ticket_that_was_kept_back_has_what_the_model_said_and_is_not_routed(
    recording: Service, texts: dict[str, str]
) -> None:
    department = routed(recording, texts["route"])["department"]
    switched(recording, mode="off")
    decision_id = routed(recording, texts["route"])["decision_id"]
    switched(recording, mode="route")
    with recording.client() as client:
        record = client.get(f"/v1/decisions/{decision_id}").json()
    assert (record["outcome"], record["reason"]) == ("review", "automation_off")
    field = record["fields"]["department"]
    assert (field["value"], field["outcome"]) == (department, "review")
    assert field["confidence"] >= field["threshold"]


def test_outcome_as_strict_as_the_switch_keeps_its_reason(recording: Service, texts: dict[str, str]) -> None:
    before = {outcome: routed(recording, texts[outcome]) for outcome in ("suggest", "review")}
    switched(recording, mode="suggest")
    after = {outcome: routed(recording, texts[outcome]) for outcome in ("suggest", "review")}
    switched(recording, mode="route")
    for outcome, answer in after.items():
        assert (answer["outcome"], answer["reason"]) == (outcome, before[outcome]["reason"])


@pytest.mark.parametrize(
    ("selector", "ticket", "matches"),
    [
        ({"sender_domain": "ACME.com"}, {"from": "Ann <ann@Acme.Com>"}, True),
        ({"sender_domain": "acme.com"}, {"from": "ann@sub.acme.com"}, False),
        ({"sender_domain": "acme.com"}, {"from": "acme.com@evil.org"}, False),
        ({"sender_domain": "acme.com"}, {"from": '"ann@acme.com" <mallory@evil.org>'}, False),
        ({"sender_domain": "Bücher.de"}, {"from": "a@xn--bcher-kva.de"}, True),
        ({"mailbox": "Support@X.com"}, {"to": ["info@x.com", "Help <support@X.COM>"]}, True),
        ({"mailbox": "support@x.com"}, {"to": ["xsupport@x.com"]}, False),
        ({"mailbox": "support@x.com"}, {}, False),
    ],
)
def test_slice_matches_by_address_in_any_spelling(
    recording: Service, texts: dict[str, str], selector: dict[str, str], ticket: dict[str, Any], matches: bool
) -> None:
    switched(recording, slice=selector, mode="off")
    answer = routed(recording, texts["route"], **ticket)
    (switch,) = in_force(recording)
    switched(recording, slice=selector, mode="route")
    assert (answer["outcome"], switch["matched"] > 0) == (("review", True) if matches else ("route", False))


def test_slice_of_another_field_and_a_field_of_its_own(recording: Service, texts: dict[str, str]) -> None:
    priority = routed(recording, texts["route"])["fields"]["priority"]
    for value in ("low", "high"):
        switched(recording, slice={"field": "priority", "value": value}, mode="suggest")
    by_value = routed(recording, texts["route"])
    for value in ("low", "high"):
        switched(recording, slice={"field": "priority", "value": value}, mode="route")
    switched(recording, field="priority", mode="off")
    own = routed(recording, texts["route"])
    switched(recording, field="priority", mode="route")
    assert (by_value["outcome"], by_value["fields"]["priority"]) == ("suggest", priority)
    assert (own["outcome"], own["fields"]["priority"]["outcome"]) == ("route", "review")


def test_strictest_of_several_switches_wins(recording: Service, texts: dict[str, str]) -> None:
    department = routed(recording, texts["route"])["department"]
    switched(recording, label=department, mode="off")
    switched(recording, mode="suggest")
    both = routed(recording, texts["route"])
    switched(recording, label=department, mode="route")
    one = routed(recording, texts["route"])
    switched(recording, mode="route")
    assert (both["outcome"], one["outcome"]) == ("review", "suggest")


def test_slice_without_tickets_is_accepted_and_seen_to_match_none(recording: Service, texts: dict[str, str]) -> None:
    slice_ = {"sender_domain": "amce.com"}
    assert switched(recording, slice=slice_, mode="off")["matched"] == 0
    routed(recording, texts["route"], **{"from": "ann@acme.com"})
    (switch,) = in_force(recording)
    switched(recording, slice=slice_, mode="route")
    assert (switch["slice"]["sender_domain"], switch["matched"]) == ("amce.com", 0)


def test_metrics_name_labels_and_count_slices(recording: Service, texts: dict[str, str]) -> None:
    department = routed(recording, texts["route"])["department"]
    requests: list[dict[str, Any]] = [
        {"label": department},
        {"slice": {"sender_domain": "acme.com"}},
        {"slice": {"mailbox": "support@acme.com"}},
    ]
    for each in requests:
        switched(recording, **each, mode="off")
    samples = recording.samples()
    text = recording.management("/metrics").text
    for each in requests:
        switched(recording, **each, mode="route")
    name = 'ticket_router_automation_off{{field="department",label="{}",mode="off",scope="{}"}}'
    assert samples[name.format(department, "label")] == 1
    assert samples[name.format("", "slice")] == 2
    assert "acme" not in text
    assert not any("automation_off" in name for name in recording.samples() if "reviews_total" not in name)


@pytest.mark.parametrize(
    ("request_", "field", "code"),
    [
        ({"label": "canary"}, "label", "unknown_label"),
        ({"field": "canary"}, "field", "unknown_field"),
        ({"label": "canary", "mode": "route"}, "label", "unknown_label"),
        ({"slice": {"field": "canary", "value": "low"}}, "slice.field", "unknown_field"),
        ({"slice": {"field": "priority", "value": "canary"}}, "slice.value", "unknown_label"),
        ({"slice": {"field": "department", "value": "canary"}}, "slice.field", "same_field"),
        ({"slice": {"sender_domain": "@canary.com"}}, "slice.sender_domain", "malformed_domain"),
        ({"slice": {"sender_domain": "canary"}}, "slice.sender_domain", "malformed_domain"),
        ({"slice": {"sender_domain": "canary com.de"}}, "slice.sender_domain", "malformed_domain"),
        ({"slice": {"sender_domain": "c.anary" * 100}}, "slice.sender_domain", "malformed_domain"),
        ({"slice": {"sender_domain": "*.canary.com"}}, "slice.sender_domain", "malformed_domain"),
        ({"slice": {"mailbox": "canary"}}, "slice.mailbox", "malformed_address"),
        ({"slice": {"mailbox": "a@canary.com, b@canary.com"}}, "slice.mailbox", "malformed_address"),
        ({"slice": {"mailbox": "can\0ary@canary.com"}}, "slice.mailbox", "malformed_address"),
        ({"slice": {"sender_domain": "canary.com", "mailbox": "a@canary.com"}}, "slice", "one_slice_required"),
        ({"slice": {}}, "slice", "one_slice_required"),
        ({"slice": {"canary": "canary"}}, "slice.*", "extra_forbidden"),
        ({"slice": {"sender_domain": "canary.com"}, "label": "canary"}, "", "one_selector_required"),
        ({"mode": "canary"}, "mode", "literal_error"),
        ({"why": None}, "why", "string_type"),
        ({"why": "  "}, "why", "string_too_short"),
        ({"why": "canary" * 100}, "why", "string_too_long"),
    ],
)
def test_wrong_switch_is_refused_with_a_code_and_without_an_echo(
    recording: Service, request_: dict[str, Any], field: str, code: str
) -> None:
    response = post(recording, **{"mode": "off", **request_})
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "invalid_request")
    assert [(each["field"], each["code"]) for each in problem["errors"]] == [(field, code)]
    assert "canary" not in response.text
    assert in_force(recording) == []


def test_service_without_a_record_has_no_switches(service: Service) -> None:
    answer = post(service, mode="off")
    assert (answer.status_code, answer.json()["code"]) == (404, "records_off")
    assert service.management("/admin/status").json()["automation"] is None


def test_switch_is_on_record_with_the_name_of_its_key_and_survives_a_restart(
    tiny_bundle_path: Path, tmp_path: Path, texts: dict[str, str]
) -> None:
    admin, router = Known("ops", ("admin",)), Known("router", ("route",))
    keys = tmp_path / "keys.toml"
    keys.write_text(file_of(admin, router))
    flags = ("--state-dir", str(tmp_path), "--keys-file", str(keys))
    content = {"mode": "off", "why": "moved to another tool", "slice": {"mailbox": "a@acme.com"}}

    def ask(service: Service, known: Known) -> httpx.Response:
        url = f"{service.management_url}/admin/automation"
        return httpx.post(url, json=content, headers=known.header, timeout=30)

    def answer(service: Service) -> dict[str, Any]:
        headers = router.header | {"Idempotency-Key": str(ULID())}
        with service.client(headers=headers) as client:
            found: dict[str, Any] = client.post("/v1/route", json={"body": texts["route"], "to": ["A@acme.com"]}).json()
            return found

    with serving(tiny_bundle_path, *flags) as service:
        assert ask(service, router).status_code == 403
        assert ask(service, admin).json()["who"] == "ops"
        assert answer(service)["reason"] == "automation_off"
        lines = [each for each in service.events if each["event"] == "audit" and each["action"] == "automation"]
    assert [(each["who"], each["outcome"]) for each in lines] == [("router", "forbidden"), ("ops", "done")]
    assert "acme" not in json.dumps(lines)
    with serving(tiny_bundle_path, *flags) as service:
        assert answer(service)["reason"] == "automation_off"
    with sqlite3.connect(tmp_path / "records.sqlite3") as connection:
        rows = connection.execute("SELECT who, why, mode FROM automation").fetchall()
    assert rows == [("ops", "moved to another tool", "off")]


def test_switch_set_at_one_replica_holds_at_the_other_within_seconds(
    tiny_bundle_path: Path, tmp_path: Path, texts: dict[str, str]
) -> None:
    with running_postgres() as postgres:
        url = postgres.new_database("router")
        flags = [("--records", url, "--state-dir", str(tmp_path / name)) for name in "ab"]
        with serving(tiny_bundle_path, *flags[0]) as one, serving(tiny_bundle_path, *flags[1]) as other:
            for mode, outcome in (("off", "review"), ("suggest", "suggest"), ("route", "route")):
                switched(one, mode=mode)
                started = time.monotonic()
                wait_until(lambda: routed(other, texts["route"])["outcome"] == outcome)  # noqa: B023
                assert time.monotonic() - started < EVERYTHING_SECONDS
                assert routed(one, texts["route"])["outcome"] == outcome
            # A clock that is ahead elsewhere does not keep a later switch from being the newest.
            with psycopg.connect(url) as connection:
                ahead = str(ULID.from_timestamp(time.time() + 600))
                row = (ahead, "department", "{}", "off", "elsewhere", "a test")
                connection.execute("INSERT INTO automation VALUES (%s, %s, %s, %s, %s, %s)", row)
            switched(one, mode="suggest")
            assert [each["mode"] for each in in_force(one)] == ["suggest"]


def test_nothing_is_routed_while_the_switches_are_unknown(
    tiny_bundle_path: Path, tmp_path: Path, texts: dict[str, str]
) -> None:
    with running_postgres() as postgres:
        url = postgres.new_database("router")
        flags = ("--records", url, "--state-dir", str(tmp_path), "--records-when-away", "degrade")
        with serving(tiny_bundle_path, *flags) as service:
            switched(service, slice={"sender_domain": "acme.com"}, mode="off")
            postgres.kill()
            wait_until(lambda: service.counts("records_up") == 0)
            # The last known switches stay in force.
            answers = [routed(service, texts["route"], **{"from": f"a@{name}"}) for name in ("acme.com", "b.org")]
            assert [each["outcome"] for each in answers] == ["review", "route"]
            assert post(service, mode="off").json()["code"] == "records_unavailable"
        with serving(tiny_bundle_path, *flags) as service:
            answer = routed(service, texts["route"])
            assert (answer["outcome"], answer["reason"]) == ("suggest", "automation_off")
            assert service.management("/admin/status").json()["automation"]["known"] is False
            postgres.start()
            wait_until(lambda: routed(service, texts["route"])["outcome"] == "route")
            assert routed(service, texts["route"], **{"from": "a@acme.com"})["outcome"] == "review"
