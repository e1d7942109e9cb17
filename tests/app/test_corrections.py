"""A person's word stands, through REST."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.bundle.bundle import open_bundle
from tests.faults.corrections import rehearse
from tests.support.process import Service, serving
from tests.support.tiny import LABELS, rewritten

DEPARTMENTS = LABELS.fields[0].labels


@pytest.fixture(scope="module")
def recording(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that records into a file, half of the tickets held out. Shared: tests use tickets of their own."""
    flags = ("--state-dir", str(tmp_path_factory.mktemp("state")), "--holdout-share", "0.5")
    with serving(tiny_bundle_path, *flags) as running:
        yield running


def routed(service: Service, **ticket: Any) -> dict[str, Any]:
    with service.client() as client:
        response = client.post("/v1/route", json={"body": "Where is my parcel?", **ticket})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def corrected(service: Service, ticket_id: str, **fields: str) -> None:
    with service.client() as client:
        item = {"ticket_id": ticket_id, "fields": fields, "source": "agent"}
        response = client.post("/v1/feedback", json=item)
    assert response.status_code == 200, response.text


def test_corrected_ticket_gets_the_value_with_its_reason_and_the_models_candidates(recording: Service) -> None:
    ticket_id = next(f"C-{number}" for number in range(99) if routed(recording, id=f"C-{number}")["reason"] != "audit")
    before = routed(recording, id=ticket_id)
    corrected(recording, ticket_id, department="returns")
    answer = routed(recording, id=ticket_id)
    expected = {"outcome": "route", "reason": "corrected", "department": "returns", "confidence": 1.0}
    assert answer == before | expected | {"decision_id": answer["decision_id"]}
    with recording.client() as client:
        record = client.get(f"/v1/decisions/{answer['decision_id']}").json()
    assert record["fields"]["department"]["corrected"] is True
    assert record["fields"]["priority"]["corrected"] is False


def test_word_of_a_person_is_above_the_random_share_switches_and_automatic_mail(recording: Service) -> None:
    held_out = next(f"H-{number}" for number in range(99) if routed(recording, id=f"H-{number}")["reason"] == "audit")
    automatic = {"id": "A-1", "headers": {"Auto-Submitted": "auto-replied"}}
    switched = {"id": "S-1", "from": "ann@acme.com"}
    switch = {"slice": {"sender_domain": "acme.com"}, "mode": "off", "why": "a test"}
    assert httpx.post(f"{recording.management_url}/admin/automation", json=switch, timeout=30).status_code == 200
    for ticket in ({"id": held_out}, automatic, switched):
        assert routed(recording, **ticket)["outcome"] == "review"
        corrected(recording, ticket["id"], department="sales")
        answer = routed(recording, **ticket)
        assert (answer["outcome"], answer["reason"], answer["department"]) == ("route", "corrected", "sales")


def test_correction_holds_for_the_mails_of_a_thread(recording: Service) -> None:
    routed(recording, id="M-1", headers={"Message-ID": "<m1@acme.com>"})
    corrected(recording, "M-1", department="technical")
    mail = b"From: a@b.c\r\nTo: help@x.com\r\nSubject: Re: x\r\nReferences: <m1@acme.com> <m2@acme.com>\r\n\r\nAnd now?"
    with recording.client() as client:
        answer = client.post("/v1/route", content=mail, headers={"Content-Type": "message/rfc822"}).json()
    assert (answer["department"], answer["reason"]) == ("technical", "corrected")


def test_metrics_count_the_answer_that_was_given_and_no_repetition(recording: Service) -> None:
    name = 'ticket_router_decisions_total{{department="{}",outcome="route"}}'
    ticket_id = next(f"N-{number}" for number in range(99) if routed(recording, id=f"N-{number}")["reason"] != "audit")
    corrected(recording, ticket_id, department="returns")
    before = recording.samples()
    for _ in range(3):
        routed(recording, id=ticket_id)
    after = recording.samples()
    changed = {key: after[key] - value for key, value in before.items() if after[key] != value}
    assert changed[name.format("returns")] == 1
    assert changed["ticket_router_corrected_total"] == 1
    assert sum(value for key, value in changed.items() if key.startswith("ticket_router_decisions_total")) == 1
    assert not any(key.startswith("ticket_router_confidence") for key in changed)


def test_value_that_the_serving_bundle_lacks_stands(tiny_bundle_path: Path, tmp_path: Path) -> None:
    fields = [field.model_dump(mode="json") for field in open_bundle(tiny_bundle_path).manifest.fields]
    fields[0]["labels"][0]["name"] = "accounts"
    golden = (tiny_bundle_path / "golden.jsonl").read_bytes().replace(DEPARTMENTS[0].encode(), b"accounts")
    renamed = rewritten(tiny_bundle_path, tmp_path / "store", fields=fields, files={"golden.jsonl": golden})
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path / "state")) as service:
        routed(service, id="T-1")
        corrected(service, "T-1", department=DEPARTMENTS[0])
    with serving(renamed, "--state-dir", str(tmp_path / "state")) as service:
        answer = routed(service, id="T-1", body="Another text")
        assert (answer["department"], answer["model"]["version"]) == (DEPARTMENTS[0], renamed.name)
        assert service.samples()['ticket_router_decisions_total{department="none",outcome="route"}'] == 1


def test_corrections_survive_a_restart_a_new_bundle_and_another_replica(tiny_bundle_path: Path, tmp_path: Path) -> None:
    assert rehearse(tiny_bundle_path, tmp_path, 300) == {
        "after a restart": 300,
        "under a new bundle": 300,
        "on another replica": 300,
    }
