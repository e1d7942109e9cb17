"""The kind `generic`: signature schemes, payload paths, templates."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from service.errors import Unauthenticated
from service.helpdesks.adapters.generic import Generic, GenericOptions
from service.helpdesks.client import Client
from service.helpdesks.connections import Connection, ConnectionTable
from service.helpdesks.payload import found_at, milliseconds
from service.helpdesks.types import Change, Ignored, Malformed
from tests.helpdesks.calls import calling
from tests.support.helpdesk import TOKEN, Helpdesk

SECRET = "s3cr3t-of-the-calls"
BODY = b'{"ticket": {"id": 7, "team": null}}'


def adapter(url: str = "https://desk.example", **options: Any) -> Generic:
    table = {"kind": "generic", "url": url, "secret": {"env": "X"}}
    connection = Connection("desk", ConnectionTable.model_validate(table), SECRET, TOKEN, None)
    needed: dict[str, Any] = {
        "paths": {"ticket": "ticket.id", "values": {"team": "ticket.team", "other": "ticket.other"}},
        "signature": "hmac-sha256-hex",
        "read_path": "/t/{ticket}",
        "write_path": "/t/{ticket}",
        "write_body": {"team": "{team}"},
    }
    return Generic(connection, GenericOptions.model_validate(needed | options))


def digest(message: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(SECRET.encode(), message, algorithm).digest()


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({}, {"x-signature": digest(BODY).hex()}),
        ({"signature": "hmac-sha1-base64"}, {"x-signature": base64.b64encode(digest(BODY, "sha1")).decode()}),
        ({"signature_prefix": "sha256="}, {"x-signature": f"sha256={digest(BODY).hex()}"}),
        ({"signature": "basic"}, {"authorization": "Basic " + base64.b64encode(f"x:{SECRET}".encode()).decode()}),
        ({"signature": "bearer"}, {"authorization": f"Bearer {SECRET}"}),
        ({"signature": "header", "signature_header": "X-Key"}, {"x-key": SECRET}),
    ],
)
def test_each_scheme_takes_its_signature_and_no_other(options: dict[str, Any], headers: dict[str, str]) -> None:
    generic = adapter(**options)
    generic.verify(headers, BODY, time.time())
    (name, value), *_ = headers.items()
    for other in (
        {},
        {name: ""},
        {name: value[:-2]},
        {name: value + "0"},
        {name: "ü" + value},
        {name: value.swapcase()},
    ):
        with pytest.raises(Unauthenticated):
            generic.verify(other, BODY, time.time())
    if "hmac" in generic.options.signature:
        with pytest.raises(Unauthenticated):
            generic.verify(headers, BODY + b" ", time.time())


@pytest.mark.parametrize(("age", "valid"), [(0, True), (290, True), (310, False), (-310, False)])
def test_signed_call_is_taken_for_five_minutes(age: float, valid: bool) -> None:
    generic = adapter(timestamp_header="X-Time", signed="{timestamp}.{body}")
    now = time.time()
    stamp = str(int(now - age))
    headers = {"x-time": stamp, "x-signature": digest(f"{stamp}.".encode() + BODY).hex()}
    if valid:
        generic.verify(headers, BODY, now)
    else:
        with pytest.raises(Unauthenticated):
            generic.verify(headers, BODY, now)


def test_call_without_delivery_id_is_recognised_by_its_body() -> None:
    delivery = adapter().parse({}, BODY)
    assert delivery.id == hashlib.sha256(BODY).hexdigest()
    assert adapter(delivery_header="X-Id").parse({"x-id": "d1"}, BODY).id == "d1"


def test_value_that_is_not_in_the_payload_is_unknown_and_not_unset() -> None:
    (event,) = adapter().parse({}, BODY).events
    assert (event.ticket, dict(event.values)) == ("7", {"team": None})
    assert found_at([], {"team": "a.0"}) == {}


@pytest.mark.parametrize("body", [b"[]", b"7", b'{"ticket": {"id": {}}}', b'{"ticket": {"id": "a\\u0000b"}}', b"\xff"])
def test_payload_without_a_ticket_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        adapter().parse({}, body)


def test_names_of_events_and_authors_decide_what_is_routed() -> None:
    paths = {"ticket": "id", "event": "event", "author": "by", "private": "internal"}
    generic = adapter(paths=paths, events=["created"], customers=["user"], list_path="all")
    calls = [
        {"id": 1, "event": "created", "by": "user"},
        {"id": 1, "event": "closed", "by": "user"},
        {"id": 1, "event": "created", "by": "agent"},
        {"id": 1, "event": "created", "by": "user", "internal": True},
    ]
    events = generic.parse({}, json.dumps({"all": calls}).encode()).events
    assert [each.ignored for each in events] == [None, Ignored.OTHER_EVENT, Ignored.BY_AGENT, Ignored.PRIVATE]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-30T12:00:00Z", 1_796_040_000_000),
        ("2026-11-30T13:00:00+01:00", 1_796_040_000_000),
        (1_796_040_000, 1_796_040_000_000),
        (1_796_040_000_000, 1_796_040_000_000),
        ("yesterday", None),
        (None, None),
        (float("inf"), None),
    ],
)
def test_times_are_read_as_helpdesks_write_them(value: object, expected: int | None) -> None:
    assert milliseconds(value) == expected


def test_tags_are_written_with_those_that_people_set(desk: Helpdesk) -> None:
    desk.add("1", tags=["vip"])
    paths = {"read_path": "/tickets/{ticket}", "write_path": "/tickets/{ticket}", "etag": True}
    generic = adapter(desk.url, **paths, write_body={"tags": "{tags}"}, read={"version": "version", "tags": "tags"})

    async def write(client: Client) -> None:
        current = await generic.read(client, "1")
        await generic.write(client, Change("1", {}, ("ai_review",), None, "mark", current))

    calling(generic, write)
    assert desk.changes == [("1", {"tags": ["ai_review", "vip"]})]
