"""How many pieces a JSON body is made of, counted before it is parsed.

A parser holds the interpreter for its whole run, and its time goes by pieces, not by bytes: a megabyte of `[],` keeps
everybody waiting for a quarter of a second, a megabyte of text for five milliseconds.
"""

MAX_PIECES = 50_000
"""Strings, commas and opening brackets. A batch of 256 tickets may have some sixty headers each."""

_SIGNS = (b",", b"[", b"{")


def has_too_many_pieces(body: bytes) -> bool:
    """Whether there are more than MAX_PIECES. What is no JSON is counted as well as can be."""
    if len(body) <= MAX_PIECES or _signs(body) + body.count(b'"') <= MAX_PIECES:
        return False
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")  # now a quotation mark begins or ends a string
    strings = plain.count(b'"') // 2
    return strings > MAX_PIECES or strings + _signs(b"".join(plain.split(b'"')[::2])) > MAX_PIECES


def _signs(text: bytes) -> int:
    return sum(map(text.count, _SIGNS))
