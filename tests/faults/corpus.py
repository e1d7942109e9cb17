"""Raw bytes by the thousand, the same at every run: hostile bodies under many heads, and damaged requests."""

import random
from collections.abc import Iterator

from service.http.body import BODY_SECONDS
from service.server.limits import ConnectionLimits
from tests.faults.http_cases import GOOD, ROUTE, SLACK_SECONDS, get, head, post
from tests.faults.wire import CLOSED, Case, Result

VALUES = (
    b"null",
    b"true",
    b"0",
    b"-0",
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"9" * 5000,
    b"0." + b"1" * 5000,
    b'""',
    b'"\\ud800"',
    b'"\\udfff\\ud800"',
    b'"\\u0000"',
    b'"\x00"',
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b'"\xf4\x90\x80\x80"',
    b'"\xc0\x80"',
    b'"\\x41"',
    b'"' + "\u200b".encode() * 2000 + b'"',
    b'"' + "\U0001f600".encode() * 500 + b'"',
    b'"<!--' + b"<" * 3000 + b'"',
    b"[" * 300 + b"]" * 300,
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b"{}",
    b"[]",
    b'"abc',
)
SHAPES = (b'{"body":%b}', b'{"subject":%b,"body":"a"}', b'{"body":"a","unknown":%b}', b"{%b:1}", b"[%b]", b"%b")
HEADERS: tuple[tuple[str, ...], ...] = (
    (),
    ("Content-Encoding: identity",),
    ("X-Request-ID: " + "a" * 500,),
    ("X-Request-Timeout: 1e9",),
    ("X-Request-Timeout: \u0663",),
    ("Accept: application/xml", "Accept-Encoding: br"),
    ("Connection: close",),
)
TYPES = (
    "application/json",
    "message/rfc822",
    "application/json; charset=\u201cutf-8\u201d",
    "application/json;;;=",
    "a/b",
)
DAMAGED = 600
SEED = 6
VERDICTS: frozenset[Result] = frozenset({*range(200, 500), CLOSED})
"""Anything but our own fault, and but holding the connection."""


def corpus(limits: ConnectionLimits, body_seconds: float = BODY_SECONDS) -> list[Case]:
    """Well over a thousand cases."""
    seconds = limits.head_seconds + body_seconds + SLACK_SECONDS
    raws = [*_bodies(), *_damaged(random.Random(SEED))]
    return [Case(f"corpus {number}", (raw,), VERDICTS, seconds) for number, raw in enumerate(raws)]


def _bodies() -> Iterator[bytes]:
    """Every value in every shape, the heads in turn; a third of them in chunks."""
    for number, (shape, value) in enumerate((shape, value) for shape in SHAPES for value in VALUES):
        body = shape % value
        for turn in range(3):
            headers, kind = HEADERS[(number + turn) % len(HEADERS)], TYPES[(number // 3) % len(TYPES) if turn else 0]
            if turn < 2:
                yield post(body, *headers, kind=kind)
            else:
                yield head("Transfer-Encoding: chunked", *headers, kind=kind) + _chunks(body)


def _chunks(body: bytes) -> bytes:
    size = max(1, len(body) // 3)
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def _damaged(chance: random.Random) -> Iterator[bytes]:
    sound = (
        post(GOOD, "X-Request-ID: a", "X-Request-Timeout: 5"),
        head("Transfer-Encoding: chunked", "Expect: 100-continue") + _chunks(GOOD),
        get("Accept: */*", path="/v1/model?a=b"),
        post(b"Subject: a\r\n\r\nb", kind="message/rfc822"),
        head("Content-Length: 12", request=ROUTE.replace("/route", "/route/batch")) + b'{"tickets":[]}',
    )
    for number in range(DAMAGED):
        raw = bytearray(sound[number % len(sound)])
        for _ in range(chance.randint(1, 4)):
            chance.choice((_flip, _cut, _insert, _repeat, _truncate))(raw, chance)
        yield bytes(raw)


def _flip(raw: bytearray, chance: random.Random) -> None:
    if raw:
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def _cut(raw: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(raw) + 1)
    del raw[start : start + chance.randint(1, 8)]


def _insert(raw: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(raw) + 1)
    raw[start:start] = chance.choice((b"\0", b"\r\n", b"\n", b" ", b":", b"\xff", b"%", chance.randbytes(3)))


def _repeat(raw: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(raw) + 1)
    raw[start:start] = raw[start : start + chance.randint(1, 40)]


def _truncate(raw: bytearray, chance: random.Random) -> None:
    del raw[chance.randrange(len(raw) + 1) :]
