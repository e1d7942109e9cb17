"""From a helpdesk's call to the write, between real processes: service, helpdesk, SQLite and PostgreSQL."""

import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ulid import ULID

from tests.support.helpdesk import ENVIRONMENT, Helpdesk, connections_file, deliver, payload, stamp
from tests.support.postgres import Postgres
from tests.support.process import Service, serving
from tests.support.waiting import wait_until

Labels = dict[str, str]


@contextlib.contextmanager
def connected(
    bundle: Path, folder: Path, desk: Helpdesk, labels: Labels, *flags: str, **options: Any
) -> Iterator[Service]:
    file = connections_file(folder, desk.url, labels, **options)
    where = flags if "--records" in flags else ("--state-dir", str(folder / "state"), *flags)
    with serving(bundle, "--connections-file", str(file), *where, env={**os.environ, **ENVIRONMENT}) as service:
        wait_until(lambda: status(service)["fault"] is None)
        yield service


def status(service: Service) -> dict[str, Any]:
    (found,) = service.management("/admin/status").json()["connections"]
    return dict(found)


def routable(service: Service, number: int = 1) -> list[str]:
    """Texts that the tiny model routes."""
    found: list[str] = []
    with service.client() as client:
        for each in range(600):
            body = f"Where is parcel {each} of order {each * 7}? {'Please hurry. ' * (each % 7)}"
            if client.post("/v1/route", json={"body": body}).json()["outcome"] == "route":
                found.append(body)
            if len(found) == number:
                return found
    raise AssertionError("the tiny bundle routes some texts")


def reason(response: Any) -> tuple[str, str]:
    assert response.status_code == 200, response.text
    (event,) = response.json()["events"]
    return event["state"], event["reason"]


def decision_of(service: Service, text: str, ticket: str | None = None) -> tuple[str, str]:
    """Reason and department of a call of the API."""
    with service.client() as client:
        answer = client.post("/v1/route", json={"body": text} | ({} if ticket is None else {"id": ticket})).json()
    return answer["reason"], answer["department"]


def finished(service: Service, rows: int) -> bool:
    """Whether so many rows of the outbox came to their end in this process."""
    return service.counts(r'helpdesk_writes_total\{.*"(written|nothing|dead)"') >= rows


@pytest.fixture(params=["sqlite", "postgresql"])
def flags(request: pytest.FixtureRequest) -> tuple[str, ...]:
    if request.param == "sqlite":
        return ()
    server: Postgres = request.getfixturevalue("postgres")
    return ("--records", server.new_database(str(ULID()).lower()))


def test_ticket_is_written_once_whatever_is_delivered_again(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels, flags: tuple[str, ...]
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels, *flags) as service:
        (text,) = routable(service)
        ticket = dict(desk.add("1", body=text, subject=""))
        assert reason(deliver(service, payload(ticket), "a")) == ("processed", "route")
        assert reason(deliver(service, payload(ticket), "a")) == ("repeated", "seen")
        assert reason(deliver(service, payload(ticket), "b")) == ("ignored", "routed")
        wait_until(lambda: finished(service, 1))
        assert desk.tickets["1"]["team"] in labels.values()
        assert len(desk.changes) == 1
        assert service.samples()['ticket_router_helpdesk_writes_total{connection="desk",result="written"}'] == 1
        service.process.send_signal(signal.SIGKILL)
    with connected(tiny_bundle_path, tmp_path, desk, labels, *flags) as service:
        assert reason(deliver(service, payload(ticket), "c")) == ("ignored", "routed")
    assert len(desk.changes) == 1


def test_value_of_a_person_is_kept_also_when_it_comes_between_reading_and_writing(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        before, between = routable(service, 2)
        first, second = desk.add("1", body=before, subject=""), desk.add("2", body=between, subject="")
        desk.status = 503
        deliver(service, payload(dict(first)), "a")
        desk.move("1", team="T-person")
        desk.status = None
        wait_until(lambda: finished(service, 1))
        desk.before_write = lambda number: desk.move(number, team="T-person")
        deliver(service, payload(dict(second)), "b")
        wait_until(lambda: finished(service, 2))
    assert [desk.tickets[each]["team"] for each in "12"] == ["T-person", "T-person"]
    assert desk.changes == []


@pytest.mark.parametrize("mode", ["route", "shadow"])
def test_move_of_a_person_is_feedback_once_and_corrects_later_calls(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels, mode: str
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels, mode=mode) as service:
        (text,) = routable(service)
        ticket = desk.add("1", body=text, subject="")
        _, routed = decision_of(service, text)
        moved_to = next(label for label in labels if label != routed)
        deliver(service, payload(dict(ticket)), "a")
        if mode == "route":
            wait_until(lambda: finished(service, 1))
            assert reason(deliver(service, payload(ticket, event="updated"), "echo")) == ("ignored", "own_write")
        desk.move("1", team=labels[moved_to])
        assert reason(deliver(service, payload(ticket, event="updated"), "b")) == ("ignored", "feedback")
        deliver(service, payload(ticket, event="updated"), "b")
        deliver(service, payload(ticket, event="updated"), "c")
        assert decision_of(service, text, "desk:1") == ("corrected", moved_to)
        assert service.samples()['ticket_router_helpdesk_feedback_total{connection="desk",result="stored"}'] == 1
        assert service.samples()['ticket_router_feedback_total{source="agent"}'] == 1


def test_move_to_a_target_without_a_label_is_counted_only(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        (text,) = routable(service)
        ticket = desk.add("1", body=text, subject="")
        deliver(service, payload(dict(ticket)), "a")
        wait_until(lambda: finished(service, 1))
        desk.move("1", team="T-person")
        assert reason(deliver(service, payload(ticket, event="updated"), "b")) == ("ignored", "other_event")
        assert service.samples()['ticket_router_helpdesk_feedback_total{connection="desk",result="unmapped"}'] == 1
        assert decision_of(service, text, "desk:1")[0] != "corrected"


def test_move_that_is_seen_before_our_write_is_feedback(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        (text,) = routable(service)
        ticket = desk.add("1", body=text, subject="")
        _, routed = decision_of(service, text)
        moved_to = next(label for label in labels if label != routed)
        arrived = payload(dict(ticket))
        desk.move("1", team=labels[moved_to])
        deliver(service, arrived, "a")
        wait_until(lambda: finished(service, 1))
        assert decision_of(service, text, "desk:1") == ("corrected", moved_to)


def test_note_names_phrases_of_the_ticket_which_are_kept_only_until_it_is_written(
    hybrid_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    text = "I was charged twice by joe@shop.example on order 1234, please refund the second payment."

    def payload_kept() -> str:
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / "records.sqlite3")) as database:
            ((kept,),) = database.execute("SELECT payload FROM outbox")
            return str(kept)

    with connected(hybrid_bundle_path, tmp_path, desk, labels, mode="suggest") as service:
        desk.status = 503
        deliver(service, payload(desk.add("1", body=text, subject="")), "a")
        words = json.loads(payload_kept())["words"]
        assert 1 <= len(words) <= 3
        assert all(each in text and "joe" not in each and "1234" not in each for each in words)
        desk.status = None
        wait_until(lambda: finished(service, 1))
        (note,) = desk.tickets["1"]["notes"]
        assert f" because of {', '.join(f'“{each}”' for each in words)}." in note
        assert "words" not in json.loads(payload_kept())


@pytest.mark.parametrize(
    ("ticket", "event", "expected"),
    [
        ({"team": "T-person"}, {}, "assigned"),
        ({"state": "closed"}, {}, "state"),
        ({"created": stamp(8)}, {}, "too_old"),
        ({}, {"private": True}, "private"),
        ({}, {"author": "agent"}, "by_agent"),
        ({}, {"event": "updated"}, "other_event"),
    ],
)
def test_ticket_that_is_not_to_be_touched_is_ignored_with_its_reason(
    shared: Service, shared_desk: Helpdesk, ticket: dict[str, Any], event: dict[str, Any], expected: str
) -> None:
    number = str(ULID())
    answer = deliver(shared, payload(shared_desk.add(number, **ticket), **event), number)
    assert reason(answer) == ("ignored", expected)
    assert shared_desk.changes == []


def test_several_events_of_a_payload_are_answered_one_by_one(shared: Service, shared_desk: Helpdesk) -> None:
    tickets = [shared_desk.add(str(ULID()), team=team) for team in (None, "T-person")]
    answer = deliver(shared, payload(*tickets), str(ULID()))
    assert [each["state"] for each in answer.json()["events"]] == ["processed", "ignored"]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"events": [{"event": "created"}]}', b"\xff", b"[" * 60_000]
)
def test_authentic_call_that_cannot_be_read_is_2xx_and_counted(shared: Service, body: bytes) -> None:
    answer = deliver(shared, body, str(ULID()))
    assert answer.status_code == 200


def test_call_without_the_secrets_signature_is_401_and_leaves_nothing(shared: Service, shared_desk: Helpdesk) -> None:
    body = payload(shared_desk.add("unsigned"))
    for headers in ({"X-Signature": "0" * 64}, {"X-Signature": ""}, {"X-Signature": "é".encode().hex()}):
        assert deliver(shared, body, str(ULID()), **headers).status_code == 401
    assert deliver(shared, b"x" * 2_000_000, str(ULID())).status_code == 413
    with shared.client() as client:
        assert client.post("/v1/webhooks/other", content=body).json()["code"] == "unknown_connection"


def test_switch_of_a_connection_holds_for_its_tickets_alone(shared: Service, shared_desk: Helpdesk) -> None:
    first, second = routable(shared, 2)

    def switch(mode: str, name: str = "desk") -> Any:
        wanted = {"slice": {"connection": name}, "mode": mode, "why": "their team reads all"}
        return httpx.post(f"{shared.management_url}/admin/automation", json=wanted, timeout=30)

    assert switch("off", "other").json()["errors"][0]["code"] == "unknown_connection"
    assert switch("off").json()["slice"]["connection"] == "desk"
    answer = deliver(shared, payload(shared_desk.add("71", body=first, subject="")), "m-71")
    with shared.client() as client:
        elsewhere = client.post("/v1/route", json={"body": first}, headers={"Idempotency-Key": "k-71"}).json()
    assert switch("route").status_code == 200
    after = deliver(shared, payload(shared_desk.add("72", body=second, subject="")), "m-72")
    assert (reason(answer), elsewhere["outcome"], reason(after)) == (
        ("processed", "review"),
        "route",
        ("processed", "route"),
    )


@pytest.fixture(scope="module")
def shared_desk() -> Iterator[Helpdesk]:
    from tests.support.helpdesk import running_helpdesk

    with running_helpdesk() as running:
        yield running


@pytest.fixture(scope="module")
def shared(
    tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory, shared_desk: Helpdesk, labels: Labels
) -> Iterator[Service]:
    """A service that suggests, beside a helpdesk that refuses every write. Shared: tests use tickets of their own."""
    with connected(tiny_bundle_path, tmp_path_factory.mktemp("shared"), shared_desk, labels) as service:
        shared_desk.status = 503
        yield service


def test_signed_call_of_a_structure_that_is_too_large_is_on_record_and_in_the_logs(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        assert reason(deliver(service, b"[" * 100_000, "a")) == ("failed", "malformed")
        (line,) = (each for each in service.events if each.get("event") == "delivery cannot be processed")
        assert (line["connection"], line["cause"]) == ("desk", "too large a structure")
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "records.sqlite3")) as database:
        assert database.execute("SELECT state, reason FROM deliveries").fetchall() == [("failed", "malformed")]
