"""Tickets of a real django-helpdesk, routed by a real service, and what people do to them afterwards."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.scoring import Outcome
from tests.support.helpdesks.connected import (
    SECRET,
    Sample,
    connected,
    django_table,
    rows,
    samples_of,
    webhook_url,
    webhook_url_with_secret,
)
from tests.support.helpdesks.django_helpdesk import INBOX, DjangoHelpdesk
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


def test_a_ticket_is_moved_to_its_queue_whichever_way_it_came(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample
) -> None:
    ways = (helpdesk.file_by_form, helpdesk.file_by_api, helpdesk.file_by_mail)
    with start() as service:
        helpdesk.send_events_to(webhook_url_with_secret(service))
        numbers = [way(sample.subject, sample.body) for way in ways]
        wait_until(lambda: all(helpdesk.queue_of(number) == sample.label for number in numbers))
    assert helpdesk.mails_sent() == len(ways), "the helpdesk's own confirmations, and nothing for us"


def test_a_persons_move_stands_after_repetitions_restarts_and_a_new_bundle(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    moved, edited = other_queues(helpdesk, sample)
    with start() as service:
        helpdesk.send_events_to(webhook_url_with_secret(service))
        numbers = [helpdesk.file_by_form(sample.subject, sample.body) for _ in range(2)]
        wait_until(lambda: all(helpdesk.queue_of(number) == sample.label for number in numbers))
        helpdesk.move(numbers[0], moved)
        helpdesk.edit(numbers[1], edited)
        for number in numbers:
            assert deliver(service, helpdesk.ticket(number)).status_code == 200
    new = rewritten(tiny_bundle_path, tmp_path / "new", base_model="another")
    assert new.name != tiny_bundle_path.name
    with start("--reconcile-seconds", "0.2", bundle=new) as service:
        helpdesk.send_events_to()
        for number in numbers:
            deliver(service, helpdesk.ticket(number))
        marker = helpdesk.file_by_form(sample.subject, sample.body)
        wait_until(lambda: helpdesk.queue_of(marker) == sample.label, 30)  # listed after the others
    assert [helpdesk.queue_of(number) for number in numbers] == [moved, edited]


def test_a_persons_move_and_the_queue_at_close_are_feedback(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample, tmp_path: Path
) -> None:
    moved, _ = other_queues(helpdesk, sample)
    said = "SELECT value, source FROM feedback ORDER BY id"
    with start() as service:
        for kind in ("new_ticket", "followup"):
            helpdesk.send_events_to(webhook_url_with_secret(service), kind=kind)
        number = helpdesk.file_by_form(sample.subject, sample.body)
        wait_until(lambda: helpdesk.queue_of(number) == sample.label)
        helpdesk.move(number, moved)
        wait_until(lambda: rows(tmp_path / "service", said) == [(moved, "agent")])
        helpdesk.update(number, new_status=4)
        wait_until(lambda: rows(tmp_path / "service", said) == [(moved, "agent"), (moved, "close")])


def test_a_person_who_was_first_is_not_overruled(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample, tmp_path: Path
) -> None:
    numbers = [helpdesk.file_by_form(sample.subject, sample.body) for _ in range(3)]
    arrived = [helpdesk.ticket(number) for number in numbers]
    moved, edited = other_queues(helpdesk, sample)
    helpdesk.move(numbers[0], moved)
    helpdesk.edit(numbers[1], edited)
    helpdesk.update(numbers[2], comment="I look into it")
    with start() as service:
        for ticket in arrived:
            assert deliver(service, ticket).json()["events"][0]["state"] == "processed"
        wait_until(lambda: len(settled(tmp_path)) == 3)
    assert [helpdesk.queue_of(number) for number in numbers] == [moved, edited, INBOX]


def test_a_missed_event_is_made_good_by_listing(
    helpdesk: DjangoHelpdesk, start: Start, sample: Sample, tmp_path: Path
) -> None:
    with start("--reconcile-seconds", "0.2") as service:
        wait_until(lambda: service.counts("connection_up") == 1)
        wait_until(lambda: rows(tmp_path / "service", "SELECT count(*) FROM marks") == [(1,)])
    missed = helpdesk.file_by_form(sample.subject, sample.body)
    with start("--reconcile-seconds", "0.2"):
        wait_until(lambda: helpdesk.queue_of(missed) == sample.label, 30)


def test_in_shadow_nothing_is_written(helpdesk: DjangoHelpdesk, start: Start, sample: Sample, tmp_path: Path) -> None:
    with start(mode="shadow") as service:
        helpdesk.send_events_to(webhook_url_with_secret(service))
        number = helpdesk.file_by_form(sample.subject, sample.body)
        wait_until(lambda: rows(tmp_path / "service", "SELECT count(*) FROM decisions") == [(1,)])
    assert helpdesk.queue_of(number) == INBOX
    assert not helpdesk.ticket(number)["custom_triage"]
    assert settled(tmp_path) in ([], ["mode"])


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


def other_queues(helpdesk: DjangoHelpdesk, sample: Sample) -> tuple[str, str]:
    first, second, *_ = (slug for slug in helpdesk.queues if slug not in (sample.label, INBOX))
    return first, second


def settled(folder: Path) -> list[str]:
    """The results of what was to be written."""
    found = rows(folder / "service", "SELECT result FROM outbox WHERE state IN ('done', 'dead')")
    return [result for (result,) in found]
