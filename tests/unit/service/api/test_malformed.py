"""`service.api.malformed` and strict JSON: what is refused as no JSON, in words that say what to do."""

import gzip

import pytest
from pydantic import ValidationError

from service.api.malformed import malformed
from service.api.parse import BatchParser, parse_route
from service.errors import MalformedJson

CANARY = "canary-7f3a"

MALFORMED = {
    "nothing": (b"", "the body is empty"),
    "blanks": (b" \r\n", "the body is empty"),
    "half": (b'{"subject":"canary-7f3a', "ends too soon, as if it were cut off (line 1, byte 23)"),
    "half a character": ('{"subject":"é'.encode()[:-1], "ends too soon, as if it were cut off (line 1, byte 13)"),
    "half an object": (b'{"subject":"canary-7f3a"', "ends too soon, as if it were cut off (line 1, byte 24)"),
    "half a list": (b'{"to":["canary-7f3a"', "ends too soon, as if it were cut off (line 1, byte 20)"),
    "half a value": (b'{"subject":tru', "ends too soon, as if it were cut off (line 1, byte 14)"),
    "latin-1": (b'{\n"subject":"\xe9t\xe9"}', "not UTF-8; send it in UTF-8 (line 2, byte 12)"),
    "latin-1 outside texts": (b"{\xe9}", "not UTF-8; send it in UTF-8 (line 1, byte 2)"),
    "a surrogate in UTF-8": (b'{"body":"\xed\xa0\x80"}', "not UTF-8; send it in UTF-8 (line 1, byte 10)"),
    "utf-16": ('{"subject":"a"}'.encode("utf-16"), "in UTF-16 or UTF-32; send it in UTF-8"),
    "utf-16 without a mark": ('{"subject":"a"}'.encode("utf-16-le"), "in UTF-16 or UTF-32; send it in UTF-8"),
    "utf-32": ('{"subject":"a"}'.encode("utf-32-be"), "in UTF-16 or UTF-32; send it in UTF-8"),
    "byte order mark": (b'\xef\xbb\xbf{"subject":"a"}', "byte order mark; send UTF-8 without one"),
    "gzip": (gzip.compress(b'{"subject":"a"}'), "compressed; send the JSON itself"),
    "lone surrogate": (b'{"subject":"\\ud800"}', "half a surrogate pair"),
    "lone second surrogate": (b'{"subject":"\\udc00"}', "half a surrogate pair"),
    "nesting": (b"[" * 40_000, "nested too deep to be read"),
    "nesting inside": (b'{"body":"","headers":{"a":' + b"[" * 4000 + b"]" * 4000 + b"}}", "nested too deep to be read"),
    "a number of 5000 digits": (b'{"subject":' + b"1" * 5000 + b"}", "too many digits to be read"),
    "a key twice": (b'{"subject":"a","subject":"b"}', "a key stands twice"),
    "a header twice": (b'{"subject":"a","headers":{"X":"1","X":"2"}}', "a key stands twice"),
    "a key twice beside a wrong field": (b'{"subject":1,"subject":2}', "a key stands twice"),
    "NaN": (b'{"subject":NaN}', "NaN and Infinity are no JSON"),
    "infinity": (b'{"subject":Infinity}', "NaN and Infinity are no JSON"),
    "infinity below zero": (b'{"subject":-Infinity}', "NaN and Infinity are no JSON"),
    "NaN in an unknown field": (b'{"subject":"a","canary-7f3a":{"b":[NaN]}}', "NaN and Infinity are no JSON"),
    "NaN alone": (b"NaN", "NaN and Infinity are no JSON"),
    "NaN below zero": (b'{"subject":-NaN}', "is not JSON: a number has no leading zeros"),
    "zeros before a number": (b'{"subject":01}', "a number has no leading zeros"),
    "a comma at the end": (
        b'{\n"subject":"canary-7f3a",\n}',
        "leave out the comma before the closing bracket (line 3, ",
    ),
    "single quotes": (b"{'subject':'canary-7f3a'}", "here a key must stand, in double quotes (line 1, byte 2)"),
    "single quotes for a value": (b"{\"subject\":'canary-7f3a'}", "a text in double quotes, number, true, false"),
    "Python's None": (b'{"subject":"a","body":None}', "a text in double quotes, number, true, false, null"),
    "true with a letter too few": (b'{"subject":tru}', "a text in double quotes, number, true, false, null"),
    "a form": (b"subject=canary-7f3a", "a text in double quotes, number, true, false, null"),
    "no colon": (b'{"subject" "canary-7f3a"}', "here the colon after a key must stand (line 1, byte 12)"),
    "no comma": (b'{"subject":"canary-7f3a" "body":""}', "here a comma or the object's closing bracket must stand"),
    "no comma in a list": (b'{"to":["canary-7f3a" "b"]}', "here a comma or the list's closing bracket must stand"),
    "a comment": (b'{"subject":"a"/*canary-7f3a*/}', "here a comma or the object's closing bracket must stand"),
    "an escape of its own": (b'{"subject":"\\canary-7f3a"}', "a backslash must be followed by one of"),
    "a tab in a text": (b'{"subject":"a\tcanary-7f3a"}', "must be escaped within texts, such as \\n (line 1, byte 14)"),
    "a line's end in a text": (
        b'{"subject":"a\ncanary-7f3a"}',
        "must be escaped within texts, such as \\n (end of line 1)",
    ),
    "two objects": (b'{"subject":"a"}{"subject":"canary-7f3a"}', "something follows the end of it"),
}


@pytest.mark.parametrize(("body", "said"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_wrong_with_malformed_json_is_said(body: bytes, said: str) -> None:
    """One kind of error for encodings, syntax and ambiguities; a sentence for each, and nothing of what was sent."""
    with pytest.raises(MalformedJson) as refused:
        parse_route(body)
    assert said in str(refused.value)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("name", ["nesting", "a number of 5000 digits", "lone surrogate", "a key twice"])
def test_what_is_json_and_not_read_is_not_called_no_json(name: str) -> None:
    """RFC 8259 has them; who is told that they are no JSON looks for a fault that is not there."""
    body, _ = MALFORMED[name]
    with pytest.raises(MalformedJson) as refused:
        parse_route(body)
    assert "not JSON" not in str(refused.value)


def test_words_that_the_parser_never_had_are_not_passed_on() -> None:
    """Its next version may have other words, with something of the body among them: the answer has none of them."""
    said = {"error": f"unexpected {CANARY} at line 3 column 4"}
    error = ValidationError.from_exception_data("RouteRequest", [{"type": "json_invalid", "input": "", "ctx": said}])
    assert str(malformed(b"{}", error)) == "the body is not JSON (line 3, byte 4)"


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
@pytest.mark.parametrize(
    "batch", [b'{"tickets":[{"body":"a"},%b]}', b'{"tickets":[{"body":"a","b":%b}]}', b'{"tickets":[],"b":%b}']
)
def test_no_json_in_one_ticket_of_a_batch_is_no_json_at_all(batch: bytes, constant: bytes) -> None:
    """Another parser would have taken none of it, so it is no error of one ticket."""
    with pytest.raises(MalformedJson, match="NaN and Infinity"):
        BatchParser(8).parse(batch % constant)


def test_a_text_may_name_what_is_no_json() -> None:
    """Only values count."""
    assert parse_route(b'{"body":"NaN, -Infinity","subject":"[NaN]"}').body == "NaN, -Infinity"
