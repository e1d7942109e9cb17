"""Why a body cannot be read as JSON: a sentence of ours that says what to do, and where, for whatever the parser found.

`parsing.py` asks for it once a body has failed. The parser's own words are looked up and never passed on.
"""

import re
from collections.abc import Mapping

from pydantic import ValidationError

from service.errors import MalformedJson
from service.http.body import Content

NO_JSON = "the body is not JSON"
DUPLICATE_KEY = "a key stands twice in one object of the body, and parsers differ in which one counts; send it once"
CONSTANT = "NaN and Infinity are no JSON; leave such a value out"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WIDE = (b"\xff\xfe", b"\xfe\xff")
"""How UTF-16 begins, and UTF-32 with its low bytes first; else one of the first two bytes of either is a NUL."""
_GZIP = b"\x1f\x8b"
_CUT_OFF = "EOF"
_PLACED = re.compile(r"(.*) at line (\d+) column (\d+)", re.DOTALL)
_HALF = "an escape stands for half a surrogate pair, which is no character; send both halves, or the character itself"
_VALUE = "here a value must stand, a text in double quotes, number, true, false, null, [ or {"
_SYNTAX: Mapping[str, str] = {
    "trailing comma": "leave out the comma before the closing bracket",
    "key must be a string": "here a key must stand, in double quotes",
    "expected value": _VALUE,
    "expected ident": _VALUE,
    "expected `:`": "here the colon after a key must stand",
    "expected `,` or `}`": "here a comma or the object's closing bracket must stand",
    "expected `,` or `]`": "here a comma or the list's closing bracket must stand",
    "invalid number": "a number has no leading zeros, and digits after its sign, its point and its e",
    "invalid escape": r'a backslash must be followed by one of " \ / b f n r t, or by u and four hexadecimal digits',
    r"control character (\u0000-\u001F) found while parsing a string": (
        r"line ends, tabs and the like must be escaped within texts, such as \n"
    ),
    "trailing characters": "something follows the end of it; send one object and nothing else",
}
_UNREADABLE: Mapping[str, str] = {
    "unexpected end of hex escape": _HALF,
    "lone leading surrogate in hex escape": _HALF,
    "recursion limit exceeded": "lists and objects are nested too deep to be read; send the documented fields alone",
    "number out of range": "a number has too many digits to be read; send the documented fields alone",
}


def malformed(body: Content, error: ValidationError) -> MalformedJson:
    """What is wrong with the body, of which the parser says this."""
    return MalformedJson(_nothing(body) or _encoding(body) or _syntax(error))


def _nothing(body: Content) -> str | None:
    return None if body.strip() else "the body is empty; send an object in JSON"


def _encoding(body: Content) -> str | None:
    """Named first, since the parser takes a wrong encoding for wrong signs. A byte order mark is added unseen."""
    if body.startswith(_BYTE_ORDER_MARK):
        return "the body begins with a byte order mark; send UTF-8 without one"
    if body.startswith(_WIDE) or b"\0" in body[:2]:
        return "the body is in UTF-16 or UTF-32; send it in UTF-8, without a byte order mark"
    if body.startswith(_GZIP):
        return "the body is compressed; send the JSON itself"
    try:
        body.decode()
    except UnicodeDecodeError as fault:
        if fault.reason != "unexpected end of data":  # else it was cut off, as the parser says too
            line, start = body.count(b"\n", 0, fault.start) + 1, body.rfind(b"\n", 0, fault.start)
            return f"the body is not UTF-8; send it in UTF-8{_place(line, fault.start - start)}"
    return None


def _syntax(error: ValidationError) -> str:
    """The parser's words in ours. Words that it has not had so far give no more than that this is no JSON."""
    said = error.errors(include_url=False, include_input=False)[0].get("ctx", {}).get("error", "")
    placed = _PLACED.fullmatch(said)
    if placed is None:
        return NO_JSON
    words, place = placed[1], _place(int(placed[2]), int(placed[3]))
    if words in _UNREADABLE:
        return _UNREADABLE[words] + place
    if words.startswith(_CUT_OFF):
        return f"{NO_JSON}: it ends too soon, as if it were cut off{place}"
    return (f"{NO_JSON}: {_SYNTAX[words]}" if words in _SYNTAX else NO_JSON) + place


def _place(line: int, byte: int) -> str:
    """Lines and their bytes count from one; the parser has a line's end as byte 0 of the next line."""
    return f" (line {line}, byte {byte})" if byte else f" (end of line {line - 1})"
