"""`/v1/route`, `/v1/route/batch` and `/v1/model` over real HTTP, with a real model."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.access.keyring import new_key
from tests.support.process import Service
from tests.support.tiny import LABELS, MAX_TOKENS, SAMPLES

ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
KEYS = {
    "decision_id",
    "ticket_id",
    "outcome",
    "department",
    "confidence",
    "reason",
    "candidates",
    "fields",
    "flags",
    "model",
}


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


def route(client: httpx.Client, **ticket: Any) -> dict[str, Any]:
    answer = client.post("/v1/route", json=ticket)
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json()
    return decision


def test_a_decision_has_the_documented_shape(client: httpx.Client) -> None:
    """The documented keys only; three candidates, best first; the ticket's own id is returned."""
    decision = route(client, id="T-1001", subject=SAMPLES[0][0], body=SAMPLES[0][1])
    confidences = [candidate["confidence"] for candidate in decision["candidates"]]
    assert set(decision) == KEYS
    assert decision["ticket_id"] == "T-1001"
    assert ULID.fullmatch(decision["decision_id"])
    assert len(confidences) == 3
    assert confidences == sorted(confidences, reverse=True)
    assert decision["confidence"] == confidences[0]
    assert set(decision["fields"]["priority"]) == {"value", "confidence", "outcome"}
    assert set(decision["model"]) == {"version", "variant", "text_version"}


def test_only_a_review_has_no_department(client: httpx.Client) -> None:
    """Route and suggest name the department of the best candidate; review names none and has a reason."""
    decisions = [route(client, subject=subject, body=body) for subject, body in SAMPLES]
    assert {decision["outcome"] for decision in decisions} == {"route", "suggest", "review"}
    for decision in decisions:
        best = decision["candidates"][0]["department"]
        assert decision["department"] == (None if decision["outcome"] == "review" else best)
        assert (decision["reason"] == "confident") == (decision["outcome"] == "route")


@pytest.mark.parametrize("ticket", [{"subject": "", "body": ""}, {"body": " \n\t\u200b"}, {"subject": "  "}])
def test_a_blank_ticket_is_a_review(client: httpx.Client, ticket: dict[str, str]) -> None:
    """No error: 200, review, reason `empty`, no model run."""
    decision = route(client, **ticket)
    assert (decision["outcome"], decision["reason"], decision["department"]) == ("review", "empty", None)
    assert (decision["candidates"], decision["confidence"]) == ([], 0)


def test_html_is_decided_like_its_text(client: httpx.Client) -> None:
    plain = route(client, subject="Offer", body="a quote please")
    rich = route(client, subject="Offer", body="<p>a <b>quote</b> please</p>", content_type="text/html")
    assert rich["candidates"] == plain["candidates"]


def test_a_long_ticket_is_decided_and_flagged(client: httpx.Client) -> None:
    """Longer than the model's limit: decided on head and tail, with a flag; flags are sorted."""
    flags = route(client, subject="x", body="please refund the payment " * 10 * MAX_TOKENS)["flags"]
    assert "truncated" in flags
    assert flags == sorted(flags)


def test_headers_of_an_automatic_reply_give_a_review(client: httpx.Client) -> None:
    decision = route(client, subject="Away", body="I am away", headers={"Auto-Submitted": "auto-replied"})
    assert (decision["outcome"], decision["reason"]) == ("review", "automatic_mail")


def test_a_raw_mail_is_decided_like_its_text(client: httpx.Client) -> None:
    """`message/rfc822` gives the decision of the same subject and body as JSON."""
    mail = b"From: a@b.c\r\nTo: support@x.y\r\nSubject: Broken on arrival\r\n\r\nThe lamp is in pieces.\r\n"
    answer = client.post("/v1/route", content=mail, headers={"Content-Type": "message/rfc822"})
    expected = route(client, subject="Broken on arrival", body="The lamp is in pieces.")
    assert answer.json()["candidates"] == expected["candidates"]


def test_a_malformed_mail_is_decided(client: httpx.Client) -> None:
    """Arbitrary bytes never cause a server error."""
    answer = client.post("/v1/route", content=b"\xff\x00\xfe" * 1000, headers={"Content-Type": "message/rfc822"})
    assert answer.status_code == 200


def test_a_ticket_gets_the_same_decision_alone_and_in_a_batch(client: httpx.Client) -> None:
    """Padding and the other tickets change no decision."""
    tickets = [{"subject": subject, "body": body} for subject, body in SAMPLES]
    answer = client.post("/v1/route/batch", json={"tickets": tickets * 4}).json()["results"]
    for ticket, result in zip(tickets * 4, answer, strict=True):
        alone = route(client, **ticket)
        assert result["decision"]["outcome"] == alone["outcome"]
        assert result["decision"]["confidence"] == pytest.approx(alone["confidence"], abs=1e-4)


def test_a_batch_has_one_result_per_ticket_in_order(client: httpx.Client) -> None:
    """An invalid ticket gets its own error; the others are decided."""
    tickets = [{"id": "a", "body": "hello"}, {"id": "b"}, {"id": "c", "subject": "x"}, {"canary-7f3a": 1}]
    answer = client.post("/v1/route/batch", json={"tickets": tickets})
    results = answer.json()["results"]
    assert [next(iter(result)) for result in results] == ["decision", "error", "decision", "error"]
    assert [results[place]["decision"]["ticket_id"] for place in (0, 2)] == ["a", "c"]
    assert {results[place]["error"]["code"] for place in (1, 3)} == {"invalid_request"}
    assert "canary" not in answer.text


def test_a_batch_of_256_tickets_is_accepted_and_of_257_refused(client: httpx.Client) -> None:
    tickets = [{"id": str(number), "body": f"ticket {number}"} for number in range(257)]
    results = client.post("/v1/route/batch", json={"tickets": tickets[:256]}).json()["results"]
    assert [result["decision"]["ticket_id"] for result in results] == [str(number) for number in range(256)]
    assert client.post("/v1/route/batch", json={"tickets": tickets}).status_code == 422


def test_the_model_route_describes_the_served_model(client: httpx.Client) -> None:
    """Fields, labels, thresholds and the promised precision of the version that decides."""
    card = client.get("/v1/model").json()
    decision = route(client, body="hello")
    assert [field["name"] for field in card["fields"]] == [field.name for field in LABELS]
    assert [label["name"] for label in card["fields"][0]["labels"]] == list(LABELS.department.labels)
    assert card["fields"][0]["promise"]["route_precision"] == 0.95
    assert {key: card[key] for key in decision["model"]} == decision["model"]


def test_a_well_formed_request_id_is_returned_else_a_new_one(client: httpx.Client) -> None:
    """New ids are never the same."""
    body = json.dumps({"body": "x"})
    kind = {"Content-Type": "application/json"}
    kept = client.post("/v1/route", content=body, headers={**kind, "X-Request-ID": "abc-1._Z"})
    long = client.post("/v1/route", content=body, headers={**kind, "X-Request-ID": "a" * 65})
    odd = client.get("/nowhere", headers={"X-Request-ID": "a b<script>"})
    key = client.get("/nowhere", headers={"X-Request-ID": new_key()})
    assert kept.headers["x-request-id"] == "abc-1._Z"
    assert ULID.fullmatch(long.headers["x-request-id"])
    assert ULID.fullmatch(odd.headers["x-request-id"])
    assert odd.json()["request_id"] == odd.headers["x-request-id"]
    assert "trk_" not in key.headers["x-request-id"]  # in the wrong header, and not to be kept in logs


def test_a_mail_of_20_mb_is_decided_by_its_text(client: httpx.Client) -> None:
    """Attachments are skipped as they arrive; a mail larger than `max_mail_bytes` is a 413."""
    lines = b"JVBERi0xLjQK" * 6 + b"\r\n"
    head = b"From: a@b.example\r\nSubject: Invoice\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    words = b"--b\r\nContent-Type: text/plain\r\n\r\nI was charged twice for my order.\r\n"
    part = b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    small, large = (head + words + part + lines * count + b"\r\n--b--\r\n" for count in (1, 270_000))
    mail = {"Content-Type": "message/rfc822"}
    answers = [client.post("/v1/route", content=each, headers=mail).json() for each in (small, large)]
    assert len(large) > 19_000_000
    assert answers[0]["candidates"] == answers[1]["candidates"]
    refused = client.post("/v1/route", content=large + b"x" * 6_000_000, headers=mail)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
