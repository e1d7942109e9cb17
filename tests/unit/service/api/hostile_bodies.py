"""Hostile JSON bodies as data, for `/v1/route` and for `/v1/route/batch`. Every value builds about `size` bytes."""

from collections.abc import Callable

Builder = Callable[[int], bytes]


def _fill(head: bytes, unit: bytes, tail: bytes) -> Builder:
    return lambda size: head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


def _keys(head: bytes, tail: bytes) -> Builder:
    return lambda size: head + b",".join(b'"%d":0' % number for number in range(size // 10)) + tail


def _headers(size: int) -> bytes:
    one = b'{"body":"","headers":{' + b",".join(b'"%d":""' % number for number in range(1000)) + b"}}"
    return b'{"tickets":[' + b",".join([one] * min(256, size // len(one))) + b"]}"


ROUTE: dict[str, Builder] = {
    "plain": _fill(b'{"body":"', b"a ", b'"}'),
    "escaped line ends": _fill(b'{"body":"', b"\\n", b'"}'),
    "escaped quotes": _fill(b'{"body":"', b'\\"', b'"}'),
    "escaped characters": _fill(b'{"body":"', b"\\u20ac", b'"}'),
    "escaped pairs": _fill(b'{"body":"', b"\\ud83d\\ude00", b'"}'),
    "commas in text": _fill(b'{"body":"', b",[{", b'"}'),
    "keys": _keys(b'{"body":"a",', b"}"),
    "header names": _keys(b'{"body":"a","headers":{', b"}}"),
    "header values": _fill(b'{"body":"a","headers":{"precedence":[""', b',""', b"]}}"),
    "recipients": _fill(b'{"body":"a","to":[""', b',"a@b"', b"]}"),
    "arrays": _fill(b'{"body":[[]', b",[]", b"]}"),
    "objects": _fill(b'{"body":[{}', b",{}", b"]}"),
    "numbers": _fill(b'{"body":[0', b",0", b"]}"),
    "one number": _fill(b'{"body":', b"9", b"}"),
    "depth": _fill(b"", b"[", b""),
    "blanks": _fill(b'{"body":"a"', b" ", b"}"),
    "truncated": _fill(b'{"body":[', b"[],", b""),
    "no JSON": _fill(b'{"body":"' + b"," * 90_000 + b'"', b'""', b""),
    "invalid UTF-8": _fill(b'{"body":"', b"\xff", b'"}'),
}  # fmt: skip

BATCH: dict[str, Builder] = {
    "too many tickets": _fill(b'{"tickets":[0', b",0", b"]}"),
    "arrays for tickets": _fill(b'{"tickets":[[]', b",[]", b"]}"),
    "one ticket of keys": _keys(b'{"tickets":[{"body":"a",', b"}]}"),
    "one long ticket": _fill(b'{"tickets":[{"body":"', b'\\"', b'"}]}'),
    "one long ticket of lines": _fill(b'{"tickets":[{"body":"', b"a\\n", b'"}]}'),
    "one long ticket of wide characters": _fill(b'{"tickets":[{"body":"', b'\\"' * 6 + "\U0001f600".encode(), b'"}]}'),
    "one long ticket of backslashes": _fill(b'{"tickets":[{"body":"' + b'\\"' * 60_000, b"\\\\", b'"}]}'),
    "headers of all tickets": _headers,
    "header values of one": _fill(b'{"tickets":[{"body":"a","headers":{"a":[""', b',""', b"]}}]}"),
}  # fmt: skip
