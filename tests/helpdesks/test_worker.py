"""The outbox at work: outages, limits, what cannot be written, events, and modes that change after the decision."""

import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from ulid import ULID

from tests.helpdesks.test_flow import Labels, connected, finished, reason, routable, status
from tests.support.helpdesk import Helpdesk, deliver, payload
from tests.support.postgres import Postgres
from tests.support.process import run_cli
from tests.support.waiting import wait_until

EVENT = '[desk.event]\nurl = "{}/hook"\nsecret = {{ env = "DESK_EVENT" }}'


def new(desk: Helpdesk, text: str, number: str | None = None) -> dict[str, Any]:
    return dict(desk.add(number or str(ULID()), body=text, subject=""))


def test_outage_delays_writes_and_loses_none(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        texts = routable(service, 8)
        desk.status = 503
        for number, text in enumerate(texts):
            deliver(service, payload(new(desk, text, str(number))), str(number))
        wait_until(lambda: desk.calls > 4)
        desk.status = None
        wait_until(lambda: len(desk.changes) == 8, seconds=90)
        assert service.counts(r"helpdesk_writes_total\{.*failed") > 0
    assert sorted(number for number, _ in desk.changes) == sorted(map(str, range(8)))


def test_hanging_helpdesk_does_not_delay_the_acknowledgement(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        texts = routable(service, 3)
        desk.hang = 30
        took = []
        for text in texts * 5:
            started = time.monotonic()
            assert reason(deliver(service, payload(new(desk, text)), str(ULID())))[0] == "processed"
            took.append(time.monotonic() - started)
        assert max(took) < 5, "far below the 10 seconds that a call to the helpdesk may take"


def test_429_keeps_calls_back_for_as_long_as_it_says(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        (text,) = routable(service)
        desk.status, desk.headers = 429, {"Retry-After": "4"}
        ticket = new(desk, text)
        deliver(service, payload(ticket), "a")
        wait_until(lambda: desk.calls > 0)
        calls = desk.calls
        time.sleep(2)
        assert desk.calls == calls
        desk.status, desk.headers = None, {}
        wait_until(lambda: bool(desk.changes))
    assert [number for number, _ in desk.changes] == [ticket["id"]]


def test_refused_write_is_dead_until_a_person_sends_it_again(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        (text,) = routable(service)
        desk.status = 302
        deliver(service, payload(new(desk, text, "1")), "a")
        wait_until(lambda: status(service)["dead"] == 1)
        assert service.samples()['ticket_router_outbox_dead_rows{connection="desk"}'] == 1
        flags = ("--state-dir", str(tmp_path / "state"))
        listed = run_cli("connections", "dead", *flags)
        assert '"last_error": "GET: 302, a redirect, which is not followed"' in listed.stdout
        desk.status = None
        assert run_cli("connections", "dead", "--send-again", *flags).stderr == "1 to be sent again\n"
        wait_until(lambda: bool(desk.changes))
        wait_until(lambda: status(service)["dead"] == 0)


def test_event_tells_of_the_triaged_ticket_after_its_write(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels, more=EVENT.format(desk.url)) as service:
        (text,) = routable(service)
        deliver(service, payload(new(desk, text, "1")), "a")
        wait_until(lambda: bool(desk.events))
    (event,) = desk.events
    assert event["type"] == "ticket.triaged"
    data = event["data"]
    assert (data["connection"], data["ticket"], data["outcome"], data["result"]) == ("desk", "1", "route", "written")
    assert text not in str(event)
    assert "/hook" not in str(service.events), "the URL may contain a key"


@pytest.mark.parametrize("mode", ["shadow", "suggest"])
def test_shadow_records_only_and_suggest_writes_tag_and_note(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels, mode: str
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels, mode=mode) as service:
        (text,) = routable(service)
        assert reason(deliver(service, payload(new(desk, text, "1")), "a")) == ("processed", "route")
        with service.client() as client:
            found = client.get("/v1/decisions").json()["decisions"]
        (decision,) = (each for each in found if each["ticket_id"] == "desk:1")
        assert decision["outcome"] == "route"
        if mode == "suggest":
            wait_until(lambda: finished(service, 1))
    ticket = desk.tickets["1"]
    assert ticket["team"] is None
    assert ticket["tags"] == (["ai_suggestion"] if mode == "suggest" else [])
    assert len(ticket["notes"]) == (mode == "suggest")
    if mode == "suggest":
        assert decision["decision_id"] in ticket["notes"][0]


def test_switch_that_is_set_after_the_decision_holds(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        (text,) = routable(service)
        desk.status, desk.headers = 429, {"Retry-After": "3"}
        deliver(service, payload(new(desk, text, "1")), "a")
        wait_until(lambda: desk.calls > 0)
        request = {"mode": "suggest", "why": "a test"}
        assert httpx.post(f"{service.management_url}/admin/automation", json=request).status_code == 200
        desk.status, desk.headers = None, {}
        wait_until(lambda: bool(desk.changes))
    assert (desk.tickets["1"]["team"], desk.tickets["1"]["tags"]) == (None, ["ai_suggestion"])


def test_ticket_that_feedback_corrects_before_the_write_is_left_alone(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels
) -> None:
    with connected(tiny_bundle_path, tmp_path, desk, labels) as service:
        (text,) = routable(service)
        desk.status, desk.headers = 429, {"Retry-After": "3"}
        ticket = new(desk, text, "1")
        deliver(service, payload(ticket), "a")
        wait_until(lambda: desk.calls > 0)
        with service.client() as client:
            said = {"ticket_id": "desk:1", "fields": {"department": "sales"}, "source": "agent"}
            assert client.post("/v1/feedback", json=said).status_code == 200
        desk.status, desk.headers = None, {}
        wait_until(lambda: finished(service, 1))
        assert reason(deliver(service, payload(ticket), "b")) == ("ignored", "routed")
    assert desk.changes == []


def test_two_kills_and_a_restart_of_the_database_lose_and_repeat_nothing(
    tiny_bundle_path: Path, tmp_path: Path, desk: Helpdesk, labels: Labels, postgres: Postgres
) -> None:
    url = postgres.new_database(str(ULID()).lower())
    acknowledged: set[str] = set()
    texts: list[str] = []
    deliveries = [str(number) for number in range(60)]
    for part, last in ((deliveries[:25], False), (deliveries[15:45], False), (deliveries, True)):
        with connected(tiny_bundle_path, tmp_path, desk, labels, "--records", url) as service:
            texts = texts or routable(service, 10)
            for number in part:
                ticket = desk.tickets.get(number) or new(desk, texts[int(number) % 10], number)
                body = payload({**ticket, "team": None})
                if last and number == "30":
                    postgres.kill()
                    assert deliver(service, body, number).status_code == 503
                    postgres.start()
                    wait_until(lambda b=body, n=number: deliver(service, b, n).status_code == 200)  # type: ignore[misc]
                elif deliver(service, body, number).status_code == 200:
                    acknowledged.add(number)
            if last:
                wait_until(lambda: len(desk.changes) >= len(deliveries), seconds=200)
            service.process.send_signal(signal.SIGKILL)
    assert len(acknowledged) >= 59
    assert sorted(number for number, _ in desk.changes) == sorted(deliveries)
    assert all(desk.tickets[number]["team"] in labels.values() for number in deliveries)
