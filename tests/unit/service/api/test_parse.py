"""`service.api.parse` and `convert`: bytes become tickets or an error that repeats nothing."""

import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.ticket import MailFact
from service.api import parse as parsing
from service.api.convert import ticket_of
from service.api.parse import LARGE_BYTES, BatchParser, has_too_many_tokens, parse_route
from service.errors import InvalidRequest, MalformedJson, ServiceError
from tests.support.cost import CPU_SECONDS, cpu_seconds
from tests.unit.service.api.hostile_bodies import BATCH, ROUTE

CANARY = "canary-7f3a"


def test_more_values_than_a_batch_can_have_are_refused_unparsed() -> None:
    """Each value costs parser time, during which the GIL is held; characters inside a string do not count."""
    many = b'{"tickets":[' + b"[]," * 40_000 + b"0]}"
    text = ',[{"\\' * 40_000
    with pytest.raises(InvalidRequest) as refused:
        parse_route(many)
    assert [error.code for error in refused.value.errors] == ["too_many_values"]
    assert parse_route(json.dumps({"body": text}).encode()).body == text


@pytest.mark.parametrize("padding", range(3))
def test_values_are_counted_in_slices_that_cut_no_escape(padding: int) -> None:
    """An escaped quotation mark ends no string wherever the slice ends; else the commas after it would be counted."""
    text = "x" * padding + '",' * 60_000 + "\\" * 100_000
    assert parse_route(json.dumps({"body": text}).encode()).body == text


def test_a_text_of_escapes_only_is_accepted() -> None:
    """As Python's `json.dumps` writes a language that is not in ASCII: a megabyte for one ticket, four for a batch."""
    text = "\u0436\U0001f600" * 50_000
    one = json.dumps({"body": text}).encode()
    assert len(one) > 900_000
    assert parse_route(one).body == text
    parsed = BatchParser(8).parse(json.dumps({"tickets": [{"body": text}] * 4}).encode())
    assert [getattr(ticket, "body", None) for ticket in parsed] == [text] * 4


def test_large_bodies_are_parsed_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the event loop waits for the parser of every thread in turn."""
    at_work: list[bytes] = []
    together = []

    def counted(body: bytes) -> bool:
        at_work.append(body)
        together.append(len(at_work))
        time.sleep(0.02)
        at_work.pop()
        return has_too_many_tokens(body)

    monkeypatch.setattr(parsing, "has_too_many_tokens", counted)
    large = json.dumps({"body": "x" * LARGE_BYTES}).encode()
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(parse_route, [large] * 4))) == 4
    assert together == [1, 1, 1, 1]


@pytest.mark.parametrize("name", [*ROUTE, *BATCH])
def test_hostile_json_stays_within_its_budget(name: str) -> None:
    """A megabyte for one ticket, four for a batch: a shape or a refusal in a bounded time of CPU."""
    build, parse = (ROUTE[name], parse_route) if name in ROUTE else (BATCH[name], BatchParser(256).parse)
    body = build(1_000_000 if name in ROUTE else 4_000_000)

    def read() -> None:
        with contextlib.suppress(ServiceError):
            parse(body)

    assert cpu_seconds(read) <= CPU_SECONDS


def test_null_means_absent() -> None:
    """Helpdesks send null for what they have not got."""
    ticket = ticket_of(parse_route(b'{"subject":"a","body":null,"from":null,"to":null,"headers":null,"id":null}'))
    assert (ticket.subject, ticket.body, ticket.recipients, ticket.id) == ("a", "", (), None)


def test_headers_give_mail_facts_and_their_absence_gives_none() -> None:
    """An automatic reply is recognised by its headers; a form's ticket from the support address is no loop."""
    automatic = ticket_of(parse_route(b'{"body":"x","headers":{"Auto-Submitted":["auto-replied"]}}'))
    form = ticket_of(parse_route(b'{"body":"x","from":"support@x.y","to":["support@x.y"]}'))
    assert MailFact.AUTOMATIC in automatic.facts
    assert form.facts == frozenset()


def test_an_invalid_ticket_of_a_batch_does_not_affect_the_others() -> None:
    """Its neighbours are parsed all the same, in their order."""
    parsed = BatchParser(8).parse(b'{"tickets":[{"body":"a"},{"canary-7f3a":1},7,{"body":1e999},{"subject":"b"}]}')
    assert [isinstance(item, InvalidRequest) for item in parsed] == [False, True, True, True, False]
    assert CANARY not in repr([item.errors for item in parsed if isinstance(item, InvalidRequest)])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"tickets":[]}', InvalidRequest),
        (b'{"tickets":[1,2,3,4,5,6,7,8,9]}', InvalidRequest),
        (b'{"tickets":{}}', InvalidRequest),
        (b"{}", InvalidRequest),
        (b'{"tickets":[{"body":"a","x":' + b"1" * 5000 + b"}]}", MalformedJson),
        (b'{"tickets":[{"body":"a"}],"tickets":[]}', ServiceError),
    ],
)
def test_a_batch_that_does_not_match_the_schema_is_refused(body: bytes, error: type[ServiceError]) -> None:
    """No list, an empty one or one of more tickets than allowed is an error of the request."""
    with pytest.raises(error):
        BatchParser(8).parse(body)
