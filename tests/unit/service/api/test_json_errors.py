"""`service.api.json_errors`: JSON of another shape gets known fields, codes of a closed set, and sentences of ours."""

import json
from collections.abc import Callable, Iterator

import pytest

from service.admin.automation import selector_of
from service.api.feedback import feedback_of
from service.api.json_errors import CODES, FEEDBACK_NAMES, TICKET_NAMES
from service.api.parse import (
    BatchParser,
    FeedbackBatchParser,
    parse_automation,
    parse_challenger,
    parse_feedback,
    parse_reload,
    parse_route,
)
from service.api.schemas import HEADERS, RECIPIENTS, SliceRequest, names_of
from service.errors import FieldError, InvalidRequest

CANARY = "canary-7f3a"

INVALID = {
    "a number": (b"1", "", "model_type"),
    "null": (b"null", "", "model_type"),
    "a list": (b"[]", "", "model_type"),
    "neither subject nor body": (b'{"id":"x"}', "", "subject_or_body_required"),
    "both null": (b'{"subject":null,"body":null}', "", "subject_or_body_required"),
    "number for text": (b'{"subject":1}', "subject", "string_type"),
    "overflow": (b'{"subject":1e999}', "subject", "string_type"),
    "unknown field": (b'{"subject":"","canary-7f3a":1}', "*", "extra_forbidden"),
    "python's name of a field": (b'{"subject":"","sender":"a"}', "*", "extra_forbidden"),
    "header of its own": (b'{"subject":"","headers":{"canary-7f3a":1}}', "headers.*", "header_type"),
    "list as a header": (b'{"subject":"","headers":{"canary-7f3a":["a",1]}}', "headers.*", "header_type"),
    "recipient": (b'{"subject":"","to":["a",1]}', "to.1", "string_type"),
    "content type": (b'{"subject":"","content_type":"canary-7f3a"}', "content_type", "literal_error"),
    "empty id": (b'{"subject":"","id":""}', "id", "string_too_short"),
    "long id": (json.dumps({"subject": "", "id": CANARY * 100}).encode(), "id", "string_too_long"),
}


@pytest.mark.parametrize(("body", "field", "code"), INVALID.values(), ids=INVALID)
def test_an_error_names_the_known_field_and_nothing_else(body: bytes, field: str, code: str) -> None:
    """The error has a stable code and a place made of this API's own names; no name or value of the client's."""
    with pytest.raises(InvalidRequest) as refused:
        parse_route(body)
    first = refused.value.errors[0]
    assert (first.field, first.code) == (field, code)
    assert CANARY not in repr(refused.value.errors)


def test_one_error_is_listed_once() -> None:
    """Names that are not repeated would give the same line twice, and a header's value one for each of its forms."""
    with pytest.raises(InvalidRequest) as refused:
        parse_route(b'{"subject":"","a":1,"b":2,"headers":{"A":1,"B":[1],"C":null}}')
    assert [(error.field, error.code) for error in refused.value.errors] == [
        ("headers.*", "header_type"),
        ("*", "extra_forbidden"),
    ]


@pytest.mark.parametrize(
    ("parse", "body", "names"),
    [
        (parse_route, b'{"subject":"","x":1}', "id, subject, body, from, to, headers, content_type"),
        (BatchParser(8).parse, b'{"tickets":[{"body":""}],"x":1}', "tickets"),
        (parse_reload, b'{"x":1}', "bundle"),
    ],
)
def test_an_unknown_field_is_answered_with_the_known_ones(
    parse: Callable[[bytes], object], body: bytes, names: str
) -> None:
    """By the names that are sent, not by those in Python; those of this request, not of another."""
    with pytest.raises(InvalidRequest) as refused:
        parse(body)
    assert [error.message for error in refused.value.errors] == [f"There is no such field; the fields are {names}"]


def test_size_errors_name_the_limit() -> None:
    """Of whatever has too much, the figure that holds."""
    headers, addresses = {str(number): "" for number in range(HEADERS + 1)}, ["a"] * (RECIPIENTS + 1)
    body = {"subject": "", "id": "", "from": "a" * 2001, "to": addresses, "headers": headers}
    with pytest.raises(InvalidRequest) as refused:
        parse_route(json.dumps(body).encode())
    assert {error.field: error.message for error in refused.value.errors} == {
        "id": "This must have at least 1 character",
        "from": "This may have at most 2000 characters",
        "to": "This may have at most 1000 items",
        "headers": "This may have at most 1000 items",
    }


def test_errors_have_codes_of_a_closed_set_and_our_messages() -> None:
    """Every wrong value at every place gives one of the codes, and each code comes of something."""
    values = [None, 1, 1.5, True, "", "x" * 3000, [], [1], ["x" * 3000], {}, {"a": 1}, ["a"] * 2000]
    fields = [{"subject": "", name: value} for name in (*TICKET_NAMES, "x", "bundle", "tickets") for value in values]
    pairs = dict.fromkeys(map(str, range(HEADERS + 1)), "")
    bodies = [*values, *fields, *({"tickets": value} for value in values), {"headers": pairs}, pairs, [[]] * 60_000]
    bodies += [{"tickets": [ticket]} for ticket in [*values, *fields]]
    whole = {"ticket_id": "x", "fields": {"department": "billing"}, "source": "agent"}
    wrong = [*values, "2026-01-01T00:00:00Z", {"department": "x"}, {"mood": "x"}]
    bodies += [whole | {name: value} for name in FEEDBACK_NAMES for value in wrong]
    switch = {"mode": "off", "why": "x"}
    slices = [{name: value} for name in names_of(SliceRequest) for value in values] + [
        {"field": "department", "value": ""}
    ]
    bodies += [switch | {"slice": value} for value in slices] + [switch | {"label": "billing", "slice": slices[-1]}]
    beside = {"role": "shadow", "bundle": "0" * 16, "share": 0.5, "why": "x"}
    bodies += [beside | {name: value} for name in beside for value in (*values, -1, 2)]
    too_large = json.dumps(beside).replace("0.5", "1e400")  # no value of Python's json is written like this
    found = {error for body in (*map(json.dumps, bodies), too_large) for error in _errors(body.encode())}
    assert {error.code for error in found} == CODES
    assert "This is not as documented" not in {error.message for error in found}


def _errors(body: bytes) -> Iterator[FieldError]:
    """Of this body, whichever route it is sent to."""
    parsers = (parse_route, parse_reload, parse_challenger, _parse_feedback, _parse_automation)
    for parse in (*parsers, BatchParser(8).parse, FeedbackBatchParser(8).parse):
        try:
            parsed = parse(body)
        except InvalidRequest as refused:
            yield from refused.errors
        else:
            yield from (error for one in _listed(parsed) if isinstance(one, InvalidRequest) for error in one.errors)


def _parse_feedback(body: bytes) -> object:
    return feedback_of(parse_feedback(body), {"department": frozenset({"billing"})}, 0)


def _parse_automation(body: bytes) -> object:
    return selector_of(parse_automation(body), {"department": ["billing"], "priority": ["low"]}, (), ())


def _listed(parsed: object) -> list[object]:
    return parsed if isinstance(parsed, list) else []


@pytest.mark.parametrize("ticket", [b'{"subject":"","to":1}', b'{"subject":"","headers":1}', b"1"])
def test_an_error_is_the_same_alone_and_in_a_batch(ticket: bytes) -> None:
    """One wording for one fault, whichever way the ticket came."""
    with pytest.raises(InvalidRequest) as alone:
        parse_route(ticket)
    (one,) = BatchParser(8).parse(b'{"tickets":[' + ticket + b"]}")
    assert isinstance(one, InvalidRequest)
    assert one.errors == alone.value.errors


def test_ten_thousand_errors_are_not_listed() -> None:
    """A body of unknown fields costs one short error and not a list."""
    body = json.dumps({f"k{number}": 1 for number in range(10_000)}).encode()
    with pytest.raises(InvalidRequest) as refused:
        parse_route(body)
    assert [error.code for error in refused.value.errors] == ["too_many_errors"]
