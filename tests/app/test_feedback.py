"""Feedback through REST, with a real file of records."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.keys import Known, file_of
from tests.support.process import Service, run_cli, serving
from tests.support.waiting import wait_until

ROUTER, AGENT, OPS = Known("router"), Known("agent", ("feedback",)), Known("ops", ("admin",))


@pytest.fixture(scope="module")
def recording(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that records into a file. Shared: tests use tickets of their own."""
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path_factory.mktemp("state"))) as running:
        yield running


@pytest.fixture(scope="module")
def labels(recording: Service) -> list[str]:
    """The departments of the served bundle."""
    with recording.client() as client:
        return [each["name"] for each in client.get("/v1/model").json()["fields"][0]["labels"]]


def decided(service: Service, ticket_id: str | None) -> str:
    with service.client() as client:
        answer = client.post("/v1/route", json={"id": ticket_id, "body": f"Parcel of {ticket_id}?"}).json()
        return str(answer["decision_id"])


def given(service: Service, **item: Any) -> tuple[int, dict[str, Any]]:
    with service.client() as client:
        response = client.post("/v1/feedback", json=item)
        return response.status_code, response.json()


def on_record(service: Service, decision_id: str) -> dict[str, Any]:
    with service.client() as client:
        record: dict[str, Any] = client.get(f"/v1/decisions/{decision_id}").json()
        return record


def test_feedback_about_a_ticket_is_about_its_newest_decision(recording: Service, labels: list[str]) -> None:
    first = decided(recording, "F-1")
    with recording.client() as client:
        newest = client.post("/v1/route", json={"id": "F-1", "body": "Another text."}).json()["decision_id"]
    code, answer = given(recording, ticket_id="F-1", fields={"department": labels[0]}, source="agent")
    assert (code, answer) == (200, {"decision_id": newest, "ticket_id": "F-1", "stored": 1})
    assert on_record(recording, newest)["truth"]["department"]["value"] == labels[0]
    assert on_record(recording, first)["feedback"] == []


def test_same_value_again_adds_no_row_and_the_history_is_kept(recording: Service, labels: list[str]) -> None:
    decision_id = decided(recording, "F-2")
    stored = [
        given(recording, decision_id=decision_id, fields={"department": label}, source="agent")[1]["stored"]
        for label in (labels[0], labels[0], labels[1], labels[0])
    ]
    assert stored == [1, 0, 1, 1]
    record = on_record(recording, decision_id)
    assert [each["value"] for each in record["feedback"]] == [labels[0], labels[1], labels[0]]
    assert {each["label_source"] for each in record["feedback"]} == {"agent"}


def test_repeated_item_with_its_time_adds_no_row_after_a_newer_one(recording: Service, labels: list[str]) -> None:
    decision_id = decided(recording, "F-3")
    old, new = (
        {"decision_id": decision_id, "fields": {"department": label}, "source": "agent", "at": at}
        for label, at in ((labels[0], "2026-01-01T08:00:00Z"), (labels[1], "2026-01-02T08:00:00Z"))
    )
    assert [given(recording, **each)[1]["stored"] for each in (old, new, old)] == [1, 1, 0]
    assert on_record(recording, decision_id)["truth"]["department"]["value"] == labels[1]


def test_value_at_close_outweighs_a_newer_one_of_an_agent(recording: Service, labels: list[str]) -> None:
    decision_id = decided(recording, "F-4")
    given(recording, decision_id=decision_id, fields={"department": labels[0]}, source="close")
    given(recording, decision_id=decision_id, fields={"department": labels[1]}, source="agent")
    truth = on_record(recording, decision_id)["truth"]["department"]
    assert (truth["value"], truth["label_source"]) == (labels[0], "close")


@pytest.mark.parametrize(
    ("item", "code", "errors"),
    [
        ({"decision_id": "canary"}, "unknown_decision", []),
        ({"ticket_id": "canary"}, "unknown_ticket", []),
        ({"ticket_id": "canary", "decision_id": "canary"}, "invalid_request", [("", "one_id_required")]),
        ({}, "invalid_request", [("", "one_id_required")]),
        ({"ticket_id": "x", "source": "canary"}, "invalid_request", [("source", "literal_error")]),
        ({"ticket_id": "x", "fields": {}}, "invalid_request", [("fields", "too_short")]),
        ({"ticket_id": "x", "fields": {"canary": 1}}, "invalid_request", [("fields.*", "string_type")]),
        ({"ticket_id": "x", "fields": {"canary": "canary"}}, "invalid_request", [("fields.*", "unknown_field")]),
        (
            {"ticket_id": "x", "fields": {"department": "canary"}},
            "invalid_request",
            [("fields.department", "unknown_label")],
        ),
        ({"ticket_id": "x", "at": "2100-01-01T00:00:00Z"}, "invalid_request", [("at", "future_time")]),
        ({"ticket_id": "x", "at": "2026-01-01T00:00:00"}, "invalid_request", [("at", "malformed_time")]),
        ({"ticket_id": "x", "canary": 1}, "invalid_request", [("*", "extra_forbidden")]),
    ],
)
def test_wrong_feedback_is_refused_with_a_code_and_without_an_echo(
    recording: Service, labels: list[str], item: dict[str, Any], code: str, errors: list[tuple[str, str]]
) -> None:
    status, problem = given(recording, **({"fields": {"department": labels[0]}, "source": "agent"} | item))
    assert problem["code"] == code
    assert status == problem["status"] == (404 if code.startswith("unknown") else 422)
    assert [(each["field"], each["code"]) for each in problem["errors"]] == errors
    assert "canary" not in str(problem)


def test_batch_gives_one_result_or_error_per_item_in_order(recording: Service, labels: list[str]) -> None:
    decision_id = decided(recording, "F-5")
    good = {"decision_id": decision_id, "fields": {"department": labels[0]}, "source": "close"}
    items = [good, {"ticket_id": "F-none", "fields": good["fields"], "source": "close"}, {"source": 1}, good]
    with recording.client() as client:
        results = client.post("/v1/feedback/batch", json={"feedback": items}).json()["results"]
        too_many = client.post("/v1/feedback/batch", json={"feedback": [good] * 257})
    assert results[0] == {"feedback": {"decision_id": decision_id, "ticket_id": "F-5", "stored": 1}}
    assert [results[place]["error"]["code"] for place in (1, 2)] == ["unknown_ticket", "invalid_request"]
    assert results[3]["feedback"]["stored"] == 0
    assert too_many.json()["errors"][0]["code"] == "too_long"


def test_feedback_is_counted_by_its_source(recording: Service, labels: list[str]) -> None:
    before = recording.samples()['ticket_router_feedback_total{source="import"}']
    given(recording, decision_id=decided(recording, "F-6"), fields={"department": labels[0]}, source="import")
    assert recording.samples()['ticket_router_feedback_total{source="import"}'] == before + 1


def test_feedback_needs_its_role(tiny_bundle_path: Path, tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(file_of(ROUTER, AGENT))
    flags = ("--state-dir", str(tmp_path), "--keys-file", str(tmp_path / "keys.toml"))
    item = {"ticket_id": "x", "fields": {"department": "x"}, "source": "agent"}
    with serving(tiny_bundle_path, *flags) as service, service.client() as client:
        assert client.post("/v1/feedback", json=item, headers=ROUTER.header).status_code == 403
        assert client.post("/v1/feedback", json=item, headers=AGENT.header).json()["code"] == "invalid_request"


def test_feedback_without_records_is_404(service: Service) -> None:
    item = {"ticket_id": "x", "fields": {"department": "x"}, "source": "agent"}
    assert given(service, **item)[1]["code"] == "records_off"


def test_held_out_ticket_goes_to_people_and_its_label_is_of_the_audit(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path), "--holdout-share", "1") as service:
        with service.client() as client:
            answer = client.post("/v1/route", json={"id": "H-1", "body": "Where is my parcel?"}).json()
            empty = client.post("/v1/route", json={"id": "H-2", "body": ""}).json()
            label = client.get("/v1/model").json()["fields"][0]["labels"][0]["name"]
        assert (answer["outcome"], answer["reason"], answer["candidates"]) == ("review", "audit", [])
        assert answer["department"] is None
        assert empty["reason"] == "empty", "no model was asked, so there is nothing to measure"
        given(service, ticket_id="H-1", fields={"department": label}, source="close")
        record = on_record(service, answer["decision_id"])
        assert record["holdout"]
        assert record["fields"]["department"]["confidence"] > 0, "what the model said is on record"
        assert record["truth"]["department"]["label_source"] == "audit"
        assert not on_record(service, empty["decision_id"])["holdout"]
        assert service.samples()['ticket_router_reviews_total{reason="audit"}'] == 1


def test_live_quality_is_in_the_metrics_and_the_status(tiny_bundle_path: Path, tmp_path: Path) -> None:
    flags = ("--state-dir", str(tmp_path), "--holdout-share", "1")
    with serving(tiny_bundle_path, *flags) as service, service.client() as client:
        label = client.get("/v1/model").json()["fields"][0]["labels"][0]["name"]
        decided(service, "L-1")
        given(service, ticket_id="L-1", fields={"department": label}, source="close")
    with serving(tiny_bundle_path, *flags) as service:  # the first estimate follows the start
        wait_until(lambda: service.management("/admin/status").json()["records"]["live"] is not None, 20)
        live = service.management("/admin/status").json()["records"]["live"]
        samples = service.samples()
    assert (live["decisions"], live["rows"]) == (0, {"feedback": 0, "audit": 1})
    coverage = live["departments"][label]["audit"]["coverage"]
    assert coverage["rows"] == 1
    series = f'department="{label}"'
    assert samples[f'ticket_router_live_coverage{{basis="audit",bound="low",{series}}}'] == coverage["low"]
    assert samples[f'ticket_router_live_rows{{basis="audit",{series},measure="coverage"}}'] == 1


def test_forgotten_ticket_is_no_longer_on_record_nor_in_the_file(tiny_bundle_path: Path, tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(file_of(ROUTER, AGENT, OPS))
    flags = ("--state-dir", str(tmp_path / "state"), "--keys-file", str(tmp_path / "keys.toml"))
    with serving(tiny_bundle_path, *flags) as service, service.client() as client:
        ticket = {"id": "canary/1", "body": "Where is my parcel?"}
        answer = client.post("/v1/route", json=ticket, headers=ROUTER.header).json()
        assert client.delete("/v1/tickets/canary%2F1", headers=AGENT.header).json()["code"] == "forbidden"
        done = client.delete("/v1/tickets/canary%2F1", headers=OPS.header)
        assert (done.status_code, done.json()) == (200, {"decisions": 1})
        assert client.delete("/v1/tickets/canary%2F1", headers=OPS.header).json() == {"decisions": 0}
        assert client.delete("/v1/tickets/", headers=OPS.header).json()["code"] == "not_found"
        gone = client.get(f"/v1/decisions/{answer['decision_id']}", headers=AGENT.header)
        assert gone.json()["code"] == "unknown_decision"
        assert service.stop() == 0
        lines = [event for event in service.events if event["event"] == "audit" and event["action"] == "forget"]
    assert [(each["who"], each["outcome"]) for each in lines] == [
        ("agent", "forbidden"), ("ops", "done"), ("ops", "done"),
    ]  # fmt: skip
    assert "canary" not in str(lines)
    assert b"canary" not in (tmp_path / "state" / "records.sqlite3").read_bytes()


def test_stored_text_is_redacted_and_only_in_the_export(tiny_bundle_path: Path, tmp_path: Path) -> None:
    body = "My card 4111 1111 1111 1111, call +49 30 901820 or kim@example.com."
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path), "--records-text", "true") as service:
        with service.client() as client:
            answer = client.post("/v1/route", json={"subject": "Charge", "body": body}).json()
            assert "charge" not in client.get(f"/v1/decisions/{answer['decision_id']}").text.casefold()
        out = tmp_path / "out.jsonl"
        assert run_cli("records", "export", "--out", str(out), "--state-dir", str(tmp_path)).returncode == 0
    text = json.loads(out.read_text())["text"]
    assert text == {"subject": "", "body": "Charge\nMy card [card], call [phone] or [email]."}
    for file in tmp_path.glob("records*"):
        assert b"4111" not in file.read_bytes(), file.name
