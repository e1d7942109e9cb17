"""How many pieces a JSON body is made of, counted before it is parsed.

A parser holds the interpreter for its whole run, and its time goes by pieces, not by bytes: a megabyte of `[],` keeps
everybody waiting for a quarter of a second, a megabyte of text for five milliseconds.
"""

from collections.abc import Iterator

from service.http.body import Content

MAX_PIECES = 50_000
"""Strings, commas and opening brackets. A batch of 256 tickets may have some sixty headers each."""

_SIGNS = (b",", b"[", b"{")
_SLICE_BYTES = 64_000
"""Counted at a time: to take two million escapes out of 4 MB in one go holds the interpreter for 25 ms."""


def has_too_many_pieces(body: Content) -> bool:
    """Whether there are more than MAX_PIECES. What is no JSON is counted as well as can be."""
    if len(body) <= MAX_PIECES or _signs(body) + body.count(b'"') <= MAX_PIECES:
        return False
    signs, marks = 0, 0
    for part in _slices(body):
        plain = part.replace(rb"\\", b"").replace(rb"\"", b"")  # now a quotation mark begins or ends a string
        between = plain.split(b'"')
        signs += _signs(b"".join(between[marks % 2 :: 2]))
        marks += len(between) - 1
        if signs + marks // 2 > MAX_PIECES:
            return True
    return False


def _slices(body: Content) -> Iterator[Content]:
    """The body in slices that cut no escape in two."""
    start = 0
    while start < len(body):
        part = body[start : start + _SLICE_BYTES]
        backslashes = len(part) - len(part.rstrip(b"\\"))
        if backslashes % 2:
            part = body[start : start + _SLICE_BYTES + 1]
        yield part
        start += len(part)


def _signs(text: Content) -> int:
    return sum(map(text.count, _SIGNS))
