"""Tickets of a real django-helpdesk, routed by a real service, and what people do to them afterwards."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.scoring import Outcome
from tests.support.helpdesk.connected import (
    SECRET,
    Sample,
    connected,
    django_table,
    rows,
    samples_of,
    webhook_url,
    webhook_url_with_secret,
)
from tests.support.helpdesk.django_helpdesk import INBOX, DjangoHelpdesk
from tests.support.process import Service
from tests.support.tiny import rewritten
from tests.support.waiting import wait_until

Start = Callable[..., AbstractContextManager[Service]]


@pytest.fixture(scope="module")
def sample(tiny_bundle_path: Path) -> Sample:
    return samples_of(tiny_bundle_path, Outcome.ROUTE)[0]


@pytest.fixture
def start(tiny_bundle_path: Path, helpdesk: DjangoHelpdesk, tmp_path: Path) -> Iterator[Start]:
    """Starts the service with the record of the last start; the helpdesk sends its events there."""

    def started(*flags: str, bundle: Path = tiny_bundle_path, **changes: Any) -> AbstractContextManager[Service]:
        table = django_table(helpdesk, **changes)
        return connected(bundle, tmp_path / "service", table, *flags, token=helpdesk.tokens["router"])

    return started


@pytest.mark.parametrize("way", ["file_by_form", "file_by_api", "file_by_mail"])
def test_a_ticket_is_moved_to_its_queue_whichever_way_it_came(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample, way: str
) -> None:
    with start() as service:
        helpdesk.send_events_to(webhook_url_with_secret(service))
        number = getattr(helpdesk, way)(sample.subject, sample.body)
        wait_until(lambda: helpdesk.queue_of(number) == sample.label)
        assert helpdesk.mails_sent() == 1, "the helpdesk's own confirmation, and nothing for us"


@pytest.mark.parametrize("move", [DjangoHelpdesk.move, DjangoHelpdesk.edit])
def test_a_persons_move_stands_after_repetitions_restarts_and_a_new_bundle(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample, move: Any, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    other = next(slug for slug in helpdesk.queues if slug not in (sample.label, INBOX))
    with start() as service:
        helpdesk.send_events_to(webhook_url_with_secret(service))
        number = helpdesk.file_by_form(sample.subject, sample.body)
        wait_until(lambda: helpdesk.queue_of(number) == sample.label)
        move(helpdesk, number, other)
        answer = deliver(service, helpdesk.ticket(number))
        assert answer.status_code == 200
    new = rewritten(tiny_bundle_path, tmp_path / "new", created_at="2026-11-30T00:00:00Z")
    assert new.name != tiny_bundle_path.name
    with start("--reconcile-seconds", "0.2", bundle=new) as service:
        deliver(service, helpdesk.ticket(number))
        marker = helpdesk.file_by_form(
            sample.subject, sample.body
        )  # listed after the first, so that one was listed too
        wait_until(lambda: helpdesk.queue_of(marker) == sample.label, 30)
        assert helpdesk.queue_of(number) == other


@pytest.mark.parametrize("move", [DjangoHelpdesk.move, DjangoHelpdesk.edit])
def test_a_person_who_was_first_is_not_overruled(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample, move: Any, tmp_path: Path
) -> None:
    number = helpdesk.file_by_form(sample.subject, sample.body)
    arrived = helpdesk.ticket(number)
    other = next(slug for slug in helpdesk.queues if slug not in (sample.label, INBOX))
    move(helpdesk, number, other)
    with start() as service:
        assert deliver(service, arrived).json()["events"][0]["state"] == "processed"
        wait_until(lambda: outbox_is_done(tmp_path))
        assert helpdesk.queue_of(number) == other


def test_a_ticket_that_an_agent_answered_in_the_incoming_queue_is_left_there(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample, tmp_path: Path
) -> None:
    number = helpdesk.file_by_form(sample.subject, sample.body)
    arrived = helpdesk.ticket(number)
    helpdesk.update(number, comment="I look into it")
    with start() as service:
        deliver(service, arrived)
        wait_until(lambda: outbox_is_done(tmp_path))
        assert helpdesk.queue_of(number) == INBOX


def test_a_missed_event_is_made_good_by_listing(helpdesk: DjangoHelpdesk, start: Start, sample: Sample) -> None:
    before = helpdesk.file_by_form(sample.subject, sample.body)
    with start("--reconcile-seconds", "0.2") as service:
        wait_until(lambda: service.counts("connection_up") == 1)
        wait_until(lambda: any(event["event"] == "connection checked" for event in service.events))
    missed = helpdesk.file_by_form(sample.subject, sample.body)
    with start("--reconcile-seconds", "0.2"):
        wait_until(lambda: helpdesk.queue_of(missed) == sample.label, 30)
    assert before < missed


def test_in_shadow_nothing_is_written(helpdesk: DjangoHelpdesk, start: Start, sample: Sample, tmp_path: Path) -> None:
    with start(mode="shadow") as service:
        helpdesk.send_events_to(webhook_url_with_secret(service))
        number = helpdesk.file_by_form(sample.subject, sample.body)
        wait_until(lambda: outbox_is_done(tmp_path))
    assert helpdesk.queue_of(number) == INBOX
    assert not helpdesk.ticket(number)["custom_triage"]
    assert rows(tmp_path / "service", "SELECT count(*) FROM decisions") == [(1,)]


def test_a_suggestion_stands_in_the_custom_field(helpdesk: DjangoHelpdesk, start: Start, sample: Sample) -> None:
    with start(mode="suggest") as service:
        helpdesk.send_events_to(webhook_url_with_secret(service))
        number = helpdesk.file_by_form(sample.subject, sample.body)
        wait_until(lambda: bool(helpdesk.ticket(number)["custom_triage"]))
    assert sample.label in helpdesk.ticket(number)["custom_triage"]
    assert helpdesk.queue_of(number) == INBOX
    assert helpdesk.mails_sent() == 1


def deliver(service: Service, ticket: dict[str, Any]) -> httpx.Response:
    """An event as the helpdesk sends it, of a ticket as it was."""
    body = json.dumps({"ticket": ticket, "queue_slug": INBOX})
    return httpx.post(webhook_url(service), content=body, auth=("router", SECRET), timeout=30)


def outbox_is_done(folder: Path) -> bool:
    """Whether there was something to write, and it is settled."""
    states = rows(folder / "service", "SELECT state FROM outbox")
    return bool(states) and all(state in ("done", "dead") for (state,) in states)
