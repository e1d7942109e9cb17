"""Signed calls of Zendesk, and what a real service writes back to a server that speaks its API."""

import base64
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from models.scoring import Outcome
from tests.support.helpdesks.connected import Sample, connected, rows, samples_of, webhook_url, zendesk_table
from tests.support.helpdesks.zendesk import CUSTOMER, GROUPS, PERSON, ROUTER, SECRET, Zendesk, running_zendesk
from tests.support.process import Service
from tests.support.waiting import wait_until

SIGNATURE = "X-Zendesk-Webhook-Signature"
STAMP = "X-Zendesk-Webhook-Signature-Timestamp"


@pytest.fixture(scope="module")
def sample(tiny_bundle_path: Path) -> Sample:
    return samples_of(tiny_bundle_path, Outcome.ROUTE)[0]


@pytest.fixture(scope="module")
def zendesk() -> Iterator[Zendesk]:
    with running_zendesk(updates_a_minute=1000) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("connected")


@pytest.fixture(scope="module")
def service(tiny_bundle_path: Path, zendesk: Zendesk, folder: Path) -> Iterator[Service]:
    with connected(tiny_bundle_path, folder, zendesk_table(zendesk)) as running:
        yield running


def post(service: Service, headers: dict[str, str], body: bytes) -> httpx.Response:
    return httpx.post(webhook_url(service), content=body, headers=headers, timeout=30)


def test_a_signed_event_is_routed_to_its_group(service: Service, zendesk: Zendesk, sample: Sample) -> None:
    number = zendesk.new_ticket(sample.subject, sample.body)
    answer = post(service, *zendesk.webhook(zendesk.created_event(number)))
    assert answer.status_code == 200
    wait_until(lambda: zendesk.group_of(number) == GROUPS[sample.label])


def test_a_call_that_is_not_signed_for_this_body_and_time_is_refused(
    service: Service, zendesk: Zendesk, sample: Sample
) -> None:
    number = zendesk.new_ticket(sample.subject, sample.body)
    event = zendesk.created_event(number)
    headers, body = zendesk.webhook(event)
    stale = zendesk.webhook(event, moment=time.time() - 330)
    early = zendesk.webhook(event, moment=time.time() + 330)
    hexadecimal = base64.b64decode(headers[SIGNATURE]).hex()
    refused = {
        "another secret": zendesk.webhook(event, secret=SECRET + "x"),
        "no signature": ({name: value for name, value in headers.items() if name != SIGNATURE}, body),
        "no time": ({name: value for name, value in headers.items() if name != STAMP}, body),
        "an empty signature": (headers | {SIGNATURE: ""}, body),
        "another body": (headers, body + b" "),
        "the same JSON, written otherwise": (headers, json.dumps(json.loads(body), indent=1).encode()),
        "the same text in another charset": (headers, json.dumps(event).encode("utf-16")),
        "in hexadecimal": (headers | {SIGNATURE: hexadecimal}, body),
        "too old": stale,
        "from the future": early,
        "old, with a new time": (stale[0] | {STAMP: headers[STAMP]}, stale[1]),
    }
    found = {name: post(service, *call).status_code for name, call in refused.items()}
    assert found == dict.fromkeys(refused, 401)
    assert zendesk.moves(number) == []


def test_a_replayed_call_is_acknowledged_and_routed_once(
    service: Service, zendesk: Zendesk, sample: Sample, folder: Path
) -> None:
    number = zendesk.new_ticket(sample.subject, sample.body)
    call = zendesk.webhook(zendesk.created_event(number))
    answers = [post(service, *call) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.json()["events"][0]["state"] for answer in answers] == ["processed", "repeated", "repeated"]
    wait_until(lambda: zendesk.moves(number) == [GROUPS[sample.label]])
    assert rows(folder, f"SELECT count(*) FROM decisions WHERE ticket_id = 'support:{number}'") == [(1,)]


@pytest.mark.parametrize(
    "body",
    [b"<html>maintenance</html>", b"", b"[1", b"\xff\xfe{}", b'{"type":"zen:event-type:ticket.created","detail":{}}'],
    ids=["HTML", "empty", "broken", "not UTF-8", "without a ticket"],
)
def test_a_signed_call_that_cannot_be_read_is_acknowledged_and_on_record(
    service: Service, zendesk: Zendesk, folder: Path, body: bytes
) -> None:
    invocation = f"unreadable-{body.hex()[:20]}"
    answer = post(service, *zendesk.webhook(body, invocation=invocation))
    assert answer.status_code == 200
    assert answer.json()["events"] == [{"state": "failed", "reason": "malformed"}]
    query = f"SELECT state, reason FROM deliveries WHERE delivery = '{invocation}'"
    assert rows(folder, query) == [("failed", "malformed")]


def test_a_body_that_is_too_large_or_compressed_is_refused(service: Service, zendesk: Zendesk) -> None:
    headers, body = zendesk.webhook(b'{"detail":"' + b"x" * 10_000_000 + b'"}')
    assert post(service, headers, body).status_code == 413
    headers, body = zendesk.webhook(gzip.compress(b"{}"))
    assert post(service, headers | {"Content-Encoding": "gzip"}, body).status_code == 415


def test_another_event_and_a_private_or_agents_ticket_are_ignored(
    service: Service, zendesk: Zendesk, sample: Sample
) -> None:
    number = zendesk.new_ticket(sample.subject, sample.body)
    changed = zendesk.created_event(number) | {"type": "zen:event-type:ticket.status_changed"}
    private = zendesk.new_ticket(sample.subject, sample.body, is_public=False)
    agents = zendesk.new_ticket(sample.subject, sample.body, submitter_id=PERSON)
    closed = zendesk.new_ticket(sample.subject, sample.body, status="closed")
    events = [changed, *(zendesk.created_event(each) for each in (private, agents, closed))]
    found = [post(service, *zendesk.webhook(event)).json()["events"][0] for event in events]
    assert [each["reason"] for each in found] == ["other_event", "private", "by_agent", "state"]


def test_a_group_that_a_person_sets_is_feedback_and_one_of_a_trigger_is_not(
    service: Service, zendesk: Zendesk, sample: Sample, folder: Path
) -> None:
    other = next(name for name in GROUPS if name not in (sample.label, "incoming"))
    number = zendesk.new_ticket(sample.subject, sample.body)
    post(service, *zendesk.webhook(zendesk.created_event(number)))
    wait_until(lambda: zendesk.group_of(number) == GROUPS[sample.label])
    said = f"SELECT value, source FROM feedback WHERE ticket_id = 'support:{number}' ORDER BY id"
    for actor in (ROUTER, -1, CUSTOMER, PERSON, PERSON):
        if actor != ROUTER:
            zendesk.move(number, GROUPS[other], actor)
        event = zendesk.event("group_assignment_changed", number, actor)
        assert post(service, *zendesk.webhook(event)).status_code == 200
        assert rows(folder, said) == ([(other, "agent")] if actor == PERSON else [])


def test_a_solved_ticket_is_feedback_at_close_also_where_we_were_right(
    service: Service, zendesk: Zendesk, sample: Sample, folder: Path
) -> None:
    number = zendesk.new_ticket(sample.subject, sample.body)
    post(service, *zendesk.webhook(zendesk.created_event(number)))
    wait_until(lambda: zendesk.group_of(number) == GROUPS[sample.label])
    zendesk.tickets[number]["status"] = "solved"
    post(service, *zendesk.webhook(zendesk.event("status_changed", number)))
    said = f"SELECT value, source, routed_to FROM feedback WHERE ticket_id = 'support:{number}'"
    assert rows(folder, said) == [(sample.label, "close", sample.label)]


def test_a_move_whose_event_was_missed_is_feedback_when_it_is_listed(
    tiny_bundle_path: Path, sample: Sample, tmp_path: Path
) -> None:
    other = next(name for name in GROUPS if name not in (sample.label, "incoming"))
    flags = ("--reconcile-seconds", "0.2")
    with (
        running_zendesk(updates_a_minute=1000) as zendesk,
        connected(tiny_bundle_path, tmp_path, zendesk_table(zendesk), *flags) as service,
    ):
        number = zendesk.new_ticket(sample.subject, sample.body)
        post(service, *zendesk.webhook(zendesk.created_event(number)))
        wait_until(lambda: zendesk.group_of(number) == GROUPS[sample.label])
        zendesk.move(number, GROUPS[other])
        wait_until(lambda: rows(tmp_path, "SELECT value, source FROM feedback") == [(other, "agent")])


def test_a_person_who_moves_the_ticket_during_our_write_keeps_it(
    service: Service, zendesk: Zendesk, sample: Sample, folder: Path
) -> None:
    other = next(group for name, group in GROUPS.items() if name not in (sample.label, "incoming"))
    number = zendesk.new_ticket(sample.subject, sample.body)
    zendesk.before_update[number] = other
    post(service, *zendesk.webhook(zendesk.created_event(number)))
    query = f"SELECT state, result FROM outbox WHERE ticket = 'support:{number}'"
    wait_until(lambda: rows(folder, query) == [("done", "person")], 30)
    assert zendesk.group_of(number) == other
    assert zendesk.moves(number) == []


def test_above_the_limit_of_updates_writes_wait_and_none_is_lost(
    tiny_bundle_path: Path, sample: Sample, tmp_path: Path
) -> None:
    with (
        running_zendesk(updates_a_minute=5, minute_seconds=2) as zendesk,
        connected(tiny_bundle_path, tmp_path, zendesk_table(zendesk)) as service,
        httpx.Client() as client,
    ):
        numbers = [zendesk.new_ticket(sample.subject, f"{sample.body} ") for _ in range(15)]
        for number in numbers:
            assert zendesk.send(client, webhook_url(service), number).status_code == 200
        wait_until(lambda: all(zendesk.group_of(number) == GROUPS[sample.label] for number in numbers), 60)
        statuses = [status for method, _, status in zendesk.calls if method == "PUT"]
        assert statuses.count(200) == 15
        assert 1 <= statuses.count(429) <= 10, "a call that is over the limit is not repeated at once"


def test_suggestions_that_wait_are_written_in_one_job_and_a_failed_one_by_itself(
    tiny_bundle_path: Path, sample: Sample, tmp_path: Path
) -> None:
    with (
        running_zendesk(updates_a_minute=1) as zendesk,
        connected(tiny_bundle_path, tmp_path, zendesk_table(zendesk, "suggest")) as service,
        httpx.Client() as client,
    ):
        wait_until(lambda: service.counts("connection_up") == 1)
        zendesk.set_fault("503")
        numbers = [zendesk.new_ticket(sample.subject, sample.body) for _ in range(20)]
        for number in numbers:
            assert zendesk.send(client, webhook_url(service), number).status_code == 200
        zendesk.failing_in_jobs = {numbers[3]}
        zendesk.set_fault("none")
        wait_until(lambda: all("ai_suggestion" in zendesk.tickets[number]["tags"] for number in numbers), 90)
        wait_until(lambda: service.counts("outbox_rows") == 0)
        assert all(len(zendesk.tickets[number]["comments"]) == 1 for number in numbers)
        puts = [path for method, path, status in zendesk.calls if method == "PUT" and status == 200]
    assert puts.count(f"/api/v2/tickets/{numbers[3]}.json") == 1
    assert len(puts) <= 4


def test_while_the_helpdesk_hangs_calls_are_acknowledged_and_written_later(
    tiny_bundle_path: Path, sample: Sample, tmp_path: Path
) -> None:
    with (
        running_zendesk() as zendesk,
        connected(tiny_bundle_path, tmp_path, zendesk_table(zendesk)) as service,
        httpx.Client() as client,
    ):
        wait_until(lambda: service.counts("connection_up") == 1)
        zendesk.set_fault("hang")
        numbers = [zendesk.new_ticket(sample.subject, sample.body) for _ in range(5)]
        for number in numbers:
            started = time.monotonic()
            assert zendesk.send(client, webhook_url(service), number).status_code == 200
            assert time.monotonic() - started < 3
        zendesk.set_fault("none")
        wait_until(lambda: all(zendesk.group_of(number) == GROUPS[sample.label] for number in numbers), 90)
