"""Strict JSON: which bodies are refused as `malformed_json`, with the parser's message and never the input."""

import gzip
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.api.parse import BatchParser, parse_route
from service.errors import InvalidRequest, MalformedJson

CANARY = "canary-7f3a"

MALFORMED = {
    "nothing": (b"", "EOF while parsing a value at line 1 column 0"),
    "half": (b'{"subject":"canary-7f3a', "EOF while parsing a string at line 1 column 23"),
    "half a character": ('{"subject":"é'.encode()[:-1], "EOF while parsing a string at line 1 column 13"),
    "half an object": (b'{"subject":"canary-7f3a"', "EOF while parsing an object at line 1 column 24"),
    "latin-1": (b'{\n"subject":"\xe9t\xe9"}', "invalid unicode code point at line 2 column 12"),
    "a surrogate in UTF-8": (b'{"body":"\xed\xa0\x80"}', "invalid unicode code point at line 1 column 10"),
    "utf-16": ('{"subject":"a"}'.encode("utf-16"), "expected value at line 1 column 1"),
    "byte order mark": (b'\xef\xbb\xbf{"subject":"a"}', "expected value at line 1 column 1"),
    "gzip": (gzip.compress(b'{"subject":"a"}'), "expected value at line 1 column 1"),
    "lone surrogate": (b'{"subject":"\\ud800"}', "unexpected end of hex escape"),
    "lone second surrogate": (b'{"subject":"\\udc00"}', "lone leading surrogate in hex escape"),
    "nesting": (b"[" * 40_000, "recursion limit exceeded"),
    "nesting inside": (b'{"body":"","headers":{"a":' + b"[" * 4000 + b"]" * 4000 + b"}}", "recursion limit exceeded"),
    "a number of 5000 digits": (b'{"subject":' + b"1" * 5000 + b"}", "number out of range"),
    "a key twice": (b'{"subject":"a","subject":"b"}', "has a key twice"),
    "a header twice": (b'{"subject":"a","headers":{"X":"1","X":"2"}}', "has a key twice"),
    "a key twice beside a wrong field": (b'{"subject":1,"subject":2}', "has a key twice"),
    "NaN": (b'{"subject":NaN}', "NaN and Infinity are not JSON"),
    "infinity": (b'{"subject":Infinity}', "NaN and Infinity are not JSON"),
    "infinity below zero": (b'{"subject":-Infinity}', "NaN and Infinity are not JSON"),
    "NaN in an unknown field": (b'{"subject":"a","canary-7f3a":{"b":[NaN]}}', "NaN and Infinity are not JSON"),
    "NaN alone": (b"NaN", "NaN and Infinity are not JSON"),
    "NaN below zero": (b'{"subject":-NaN}', "invalid number at line 1 column 13"),
    "zeros before a number": (b'{"subject":01}', "invalid number at line 1 column 13"),
    "a comma at the end": (b'{\n"subject":"canary-7f3a",\n}', "trailing comma at line 3 column 1"),
    "single quotes": (b"{'subject':'canary-7f3a'}", "key must be a string at line 1 column 2"),
    "a form": (b"subject=canary-7f3a", "expected value at line 1 column 1"),
    "a comment": (b'{"subject":"a"/*canary-7f3a*/}', "expected `,` or `}` at line 1 column 15"),
    "an escape of its own": (b'{"subject":"\\canary-7f3a"}', "invalid escape at line 1 column 14"),
    "a tab in a text": (b'{"subject":"a\tcanary-7f3a"}', "control character"),
    "two objects": (b'{"subject":"a"}{"subject":"canary-7f3a"}', "trailing characters at line 1 column 16"),
}


@pytest.mark.parametrize(("body", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_body_that_is_not_strict_json_is_refused(body: bytes, message: str) -> None:
    """One kind of error for encodings, syntax and ambiguities, with the parser's message and nothing of the body."""
    with pytest.raises(MalformedJson) as refused:
        parse_route(body)
    assert message in str(refused.value)
    assert CANARY not in str(refused.value)


_MESSAGE = re.compile(
    r"Invalid JSON: (EOF while parsing (a value|a string|a list|an object)|expected (value|ident|`:`|`,` or `[]}]`)"
    r"|key must be a string|trailing (comma|characters)|invalid (escape|number|unicode code point)|number out of range"
    r"|control character \(\\u0000-\\u001F\) found while parsing a string|recursion limit exceeded"
    r"|unexpected end of hex escape|lone leading surrogate in hex escape) at line \d+ column \d+"
    r"|an object in the body has a key twice, .*|NaN and Infinity are not JSON; leave such a value out"
)
_SIGNS = [bytes([code]) for code in b'{}[]:,"\\-1eE.\t\n u\x00\x1f\xe9\xff']
_PARTS = st.one_of(st.sampled_from([*_SIGNS, CANARY.encode(), b'"body"']), st.binary(max_size=4))


@settings(deadline=None)
@given(st.lists(_PARTS, max_size=12).map(b"".join))
def test_the_message_of_malformed_json_is_one_of_a_closed_set(body: bytes) -> None:
    """The parser's messages are constants with a place. A new version with other ones fails here, and is looked at."""
    message = ""
    try:
        parse_route(body)
    except MalformedJson as error:
        message = str(error)
    except InvalidRequest:
        return
    assert not message or _MESSAGE.fullmatch(message)


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
@pytest.mark.parametrize(
    "batch", [b'{"tickets":[{"body":"a"},%b]}', b'{"tickets":[{"body":"a","b":%b}]}', b'{"tickets":[],"b":%b}']
)
def test_malformed_json_in_one_ticket_refuses_the_whole_batch(batch: bytes, constant: bytes) -> None:
    """Another parser would have taken none of it, so it is no error of one ticket."""
    with pytest.raises(MalformedJson, match="NaN and Infinity"):
        BatchParser(8).parse(batch % constant)


def test_a_string_may_contain_nan_and_infinity() -> None:
    """Only values count."""
    assert parse_route(b'{"body":"NaN, -Infinity","subject":"[NaN]"}').body == "NaN, -Infinity"
