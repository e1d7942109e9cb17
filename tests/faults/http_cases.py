"""The HTTP group of the catalogue. Written for any server with a POST /v1/route that takes `{"body": text}` as JSON."""

import gzip
import json

from service.http.body import BODY_SECONDS
from service.server.limits import ConnectionLimits
from tests.faults.wire import CLOSED, Case, Drip, Result

SLACK_SECONDS = 4
"""For a busy machine, on top of every limit."""
JSON = "application/json"
GOOD = b'{"body":"hello"}'
ROUTE = "POST /v1/route HTTP/1.1"
MEGABYTE = 1_000_000


def head(*lines: str, request: str = ROUTE, host: bool = True, kind: str | None = JSON) -> bytes:
    common = (["Host: x"] if host else []) + ([f"Content-Type: {kind}"] if kind else [])
    return "\r\n".join([request, *common, *lines]).encode() + b"\r\n\r\n"


def post(body: bytes, *lines: str, kind: str | None = JSON, host: bool = True) -> bytes:
    return head(f"Content-Length: {len(body)}", *lines, kind=kind, host=host) + body


def get(*lines: str, path: str = "/v1/model", version: str = "HTTP/1.1", host: bool = True) -> bytes:
    return head(*lines, request=f"GET {path} {version}", kind=None, host=host)


def chunked(chunk: bytes, times: int, *lines: str) -> bytes:
    return head("Transfer-Encoding: chunked", *lines) + (b"%x\r\n%s\r\n" % (len(chunk), chunk)) * times + b"0\r\n\r\n"


def http_cases(limits: ConnectionLimits, body_seconds: float = BODY_SECONDS) -> list[Case]:
    """Every case, with the longest times that follow from these limits."""
    return [
        *_slow_heads(limits),
        *_slow_bodies(limits, body_seconds),
        *_large(),
        *_framing(),
        *_lines(),
        *_kinds(),
        *_json(),
    ]


def head_cases(limits: ConnectionLimits) -> list[Case]:
    """Those that go wrong before their path is known: they hold for any port."""
    return [*_slow_heads(limits), *(case for case in _lines() if case.allowed <= {400, 505, CLOSED})]


def _slow_heads(limits: ConnectionLimits) -> list[Case]:
    """Connections that would be held for nothing."""
    step, seconds, gone = limits.head_seconds / 10, limits.head_seconds + SLACK_SECONDS, frozenset({CLOSED, 400, 408})
    table: list[tuple[str, tuple[bytes | Drip, ...]]] = [
        ("silent connection", ()),
        ("half a request line", (b"POST /v1/ro",)),
        ("half a head", (head()[:-2],)),
        ("head byte by byte", (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", Drip(b"a", step))),
        ("header by header", (b"GET / HTTP/1.1\r\nHost: x\r\n", Drip(b"A: b\r\n", step))),
        ("nothing but empty lines", (Drip(b"\r\n", step),)),
    ]
    return [Case(name, script, gone, seconds) for name, script in table]


def _slow_bodies(limits: ConnectionLimits, body_seconds: float) -> list[Case]:
    seconds, late = limits.head_seconds + body_seconds + SLACK_SECONDS, frozenset[Result]({408, CLOSED})
    step = limits.head_seconds / 10
    chunks = head("Transfer-Encoding: chunked")
    table: list[tuple[str, tuple[bytes | Drip, ...]]] = [
        ("half a body", (post(GOOD)[:-4],)),
        ("no body at all", (head("Content-Length: 9"),)),
        ("body byte by byte", (head("Content-Length: 900"), Drip(b" ", step))),
        ("half a chunk", (chunked(GOOD, 1)[:-12],)),
        ("chunks without end", (chunks, Drip(b"1\r\n \r\n", step))),
        ("chunk extension without end", (chunks + b"1;", Drip(b"a", step))),
        ("half a body after 100", (head("Content-Length: 16", "Expect: 100-continue") + b"{",)),
    ]
    unread = head("Content-Length: 99", request="PUT /nowhere HTTP/1.1")
    return [
        *(Case(name, script, late, seconds) for name, script in table),
        Case("half a body nobody reads", (unread,), frozenset({404}), SLACK_SECONDS),
    ]


def _at_once(table: list[tuple[str, bytes, set[Result]]]) -> list[Case]:
    return [Case(name, (raw,), frozenset(allowed), SLACK_SECONDS) for name, raw, allowed in table]


def _large() -> list[Case]:
    many = [f"X-{number}: y" for number in range(20_000)]
    long_url = "/v1/model?" + "a" * 100_000
    return _at_once(
        [
            ("100 KB header", get("X: " + "a" * 100_000), {431}),
            ("1 MB header", get("X: " + "a" * MEGABYTE), {431}),
            ("100 KB header name", get("a" * 100_000 + ": x"), {431}),
            ("20,000 headers", get(*many), {431}),
            ("100 headers", get(*many[:100]), {431}),
            ("long URL", get(path=long_url), {414}),
            ("3 MB body, declared", post(b'{"body":"' + b"a" * 3 * MEGABYTE + b'"}'), {413}),
            ("3 MB body, chunked", chunked(b" " * 50_000, 60), {413}),
            ("a terabyte declared, nothing sent", head("Content-Length: 1000000000000"), {413}),
            ("too large after Expect", head("Content-Length: 9000000", "Expect: 100-continue"), {413}),
            ("200,000 chunks of a byte", chunked(b" ", 200_000), {413}),
            ("1 MB chunk extension", head("Transfer-Encoding: chunked") + b"1;" + b"a" * MEGABYTE, {413}),
            ("1 MB of trailers", chunked(b" ", 1)[:-2] + b"A: b\r\n" * 170_000 + b"\r\n", {413, 431}),
            ("nothing but 1 MB of empty lines", b"\r\n" * (MEGABYTE // 2), {400, 431}),
        ]
    )


def _framing() -> list[Case]:
    te = "Transfer-Encoding: "
    return _at_once(
        [
            ("two lengths", post(GOOD, "Content-Length: 16"), {400}),
            ("two different lengths", post(GOOD, "Content-Length: 1"), {400}),
            ("list of lengths", head("Content-Length: 16, 16") + GOOD, {400}),
            ("length with a sign", head("Content-Length: +16") + GOOD, {400}),
            ("negative length", head("Content-Length: -1") + GOOD, {400}),
            ("hexadecimal length", head("Content-Length: 0x10") + GOOD, {400}),
            ("length beyond 64 bits", head("Content-Length: " + "9" * 30), {400, 413}),
            ("length and chunks", head("Content-Length: 5", te + "chunked") + b"0\r\n\r\n", {400}),
            ("chunks and length", head(te + "chunked", "Content-Length: 5") + b"0\r\n\r\n", {400}),
            ("chunked twice", head(te + "chunked", te + "chunked") + b"0\r\n\r\n", {400}),
            ("gzip, chunked", head(te + "gzip, chunked") + b"0\r\n\r\n", {400, 415}),
            ("unknown coding", head(te + "xchunked") + b"0\r\n\r\n", {400, 415}),
            ("chunks in HTTP/1.0", head(te + "chunked", request="POST /v1/route HTTP/1.0") + b"0\r\n\r\n", {400}),
            ("bad chunk size", head(te + "chunked") + b"zz\r\n", {400}),
            ("negative chunk size", head(te + "chunked") + b"-1\r\n", {400}),
            ("chunk size with 0x", head(te + "chunked") + b"0x10\r\n" + GOOD, {400}),
            ("chunk size beyond 64 bits", head(te + "chunked") + b"f" * 17 + b"\r\n", {400, 413}),
            ("chunk longer than its size", head(te + "chunked") + b"1\r\nabc\r\n", {400}),
            ("bare LF after a chunk size", head(te + "chunked") + b"10\n" + GOOD + b"\n0\n\n", {400}),
            ("length in a trailer", chunked(GOOD, 1)[:-2] + b"Content-Length: 1\r\n\r\n", {200, 400}),
        ]
    )


def _lines() -> list[Case]:
    return _at_once(
        [
            ("TLS on the plain port", bytes.fromhex("16030100c8010000c40303") + bytes(200), {400, CLOSED}),
            ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505, CLOSED}),
            ("upgrade to h2c", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"), {200}),
            ("upgrade to h2c with a body", post(GOOD, "Connection: Upgrade", "Upgrade: h2c"), {200}),
            ("upgrade to a websocket", get("Connection: Upgrade", "Upgrade: websocket"), {200, 400}),
            ("HTTP/0.9", b"GET /v1/model\r\n\r\n", {400, 505, CLOSED}),
            ("HTTP/0.9 by number", get(version="HTTP/0.9"), {400, 505}),
            ("HTTP/1.0", get(version="HTTP/1.0"), {200}),
            ("HTTP/2.0 by number", get(version="HTTP/2.0"), {400, 505}),
            ("HTTP/9.9", get(version="HTTP/9.9"), {400, 505}),
            ("RTSP", b"DESCRIBE /v1/model RTSP/1.0\r\nHost: x\r\n\r\n", {400, 404, 405}),
            ("no Host", get(host=False), {400}),
            ("two Hosts", get("Host: y"), {400}),
            ("bare LF", get().replace(b"\r\n", b"\n"), {400}),
            ("bare CR", get("A: b\rc"), {400}),
            ("folded header", get("A: b\r\n c"), {400}),
            ("NUL in a header", get("A: b\0c"), {400}),
            ("NUL in the path", get(path="/v1/\0"), {400}),
            ("space before the colon", get("A : b"), {400}),
            ("header without a name", get(": b"), {400}),
            ("header without a colon", get("abc"), {400}),
            ("header outside ASCII", get("A: \u20ac"), {200, 400}),
            ("path outside ASCII", get(path="/\u20ac"), {400, 404}),
            ("percent signs that stand for nothing", get(path="/%zz%%%ff"), {400, 404}),
            ("absolute target", get(path="http://x/v1/model"), {200}),
            ("absolute target without a path", get(path="http://x"), {400, 404}),
            ("asterisk", head(request="OPTIONS * HTTP/1.1"), {400, 404, 405}),
            ("CONNECT", head(request="CONNECT x:443 HTTP/1.1"), {400, 404, 405}),
            ("TRACE", head(request="TRACE /v1/route HTTP/1.1"), {400, 405}),
            ("made-up method", head(request="FOOBAR /v1/route HTTP/1.1"), {400, 405}),
            ("100,000-letter method", head(request="A" * 100_000 + " / HTTP/1.1"), {400, 431}),
            ("Expect: 100-continue", post(GOOD, "Expect: 100-continue"), {200}),
            ("unknown expectation", post(GOOD, "Expect: miracles"), {200, 417}),
            ("garbage", bytes(range(256)) * 4, {400, CLOSED}),
            ("pipelined", post(GOOD) * 20, {200}),
            ("garbage after a request", post(GOOD) + b"garbage\r\n\r\n", {200}),
        ]
    )


def _kinds() -> list[Case]:
    return _at_once(
        [
            ("gzip", post(gzip.compress(GOOD), "Content-Encoding: gzip"), {415}),
            ("gzip bomb", post(gzip.compress(bytes(MEGABYTE)), "Content-Encoding: gzip"), {415}),
            ("two encodings", post(GOOD, "Content-Encoding: br, gzip"), {415}),
            ("identity, then gzip", post(GOOD, "Content-Encoding: identity", "Content-Encoding: gzip"), {415}),
            ("two content types", post(GOOD, "Content-Type: message/rfc822"), {415}),
            ("a good body called gzip", post(GOOD, "Content-Encoding: gzip"), {415}),
            ("wrong content type", post(GOOD, kind="text/plain"), {415}),
            ("form", post(b"body=hello", kind="application/x-www-form-urlencoded"), {415}),
            ("multipart", post(b"--b--", kind="multipart/form-data; boundary=b"), {415}),
            ("no content type", post(GOOD, kind=None), {415}),
            ("another charset", post(GOOD, kind=f"{JSON}; charset=utf-16"), {415}),
        ]
    )


def _json() -> list[Case]:
    bodies: list[tuple[str, bytes, set[Result]]] = [
        ("empty body", b"", {400, 422}),
        ("truncated body", GOOD[:-1], {400, 422}),
        ("invalid UTF-8", b'{"body":"\xff"}', {400, 422}),
        ("UTF-16", GOOD.decode().encode("utf-16"), {400, 415}),
        ("UTF-32", GOOD.decode().encode("utf-32"), {400, 415}),
        ("byte order mark", b"\xef\xbb\xbf" + GOOD, {400}),
        ("NaN", b'{"body":NaN}', {400, 422}),
        ("Infinity", b'{"body":Infinity}', {400, 422}),
        ("-Infinity", b'{"body":-Infinity}', {400, 422}),
        ("1e999", b'{"body":1e999}', {400, 422}),
        ("NaN as a key's value deep inside", b'{"body":{"a":[{"b":NaN}]}}', {400, 422}),
        ("lone surrogate", b'{"body":"\\ud800"}', {400, 422}),
        ("surrogates the wrong way round", b'{"body":"\\udc00\\ud800"}', {400, 422}),
        ("lone surrogate as a key", b'{"\\ud800":1,"body":"a"}', {400, 422}),
        ("lone surrogate of the wrong type", b'{"body":["\\ud800"]}', {400, 422}),
        ("5,000-digit number", b'{"body":' + b"9" * 5000 + b"}", {400, 422}),
        ("5,000-digit number as a float", b'{"body":0.' + b"9" * 5000 + b"}", {400, 422}),
        ("100,000 arrays deep", b"[" * 100_000, {400, 422}),
        ("100,000 arrays deep and back", b'{"body":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {400, 422}),
        ("50,000 objects deep", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, {400, 422}),
        ("duplicate key", b'{"body":"a","body":"b"}', {400, 422}),
        ("NUL in a text", b'{"body":"a\\u0000b"}', {200, 422}),
        ("control character in a text", b'{"body":"a\x01b"}', {400, 422}),
        ("unknown field", b'{"body":"a","boddy":"b"}', {422}),
        ("50,000 unknown fields", json.dumps({"body": "a", **{f"k{n}": n for n in range(50_000)}}).encode(), {422}),
        ("text after the object", GOOD + b"x", {400, 422}),
        ("a list", b"[]", {400, 422}),
        ("a number", b"1", {400, 422}),
        ("null", b"null", {400, 422}),
        ("single quotes", b"{'body':'a'}", {400, 422}),
        ("comment", b'{"body":"a"/*b*/}', {400, 422}),
        ("trailing comma", b'{"body":"a",}', {400, 422}),
    ]
    return _at_once([(name, post(body), allowed) for name, body, allowed in bodies])
