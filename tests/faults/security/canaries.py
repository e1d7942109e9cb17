"""Words that must not appear in any output, and requests that hold them in every field of a request.

Each canary names its field, so that a leak names its source. Keys are canaries too, and so are their digests.
"""

import json
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from service.access.keyring import digest_of
from tests.faults.http.cases import head
from tests.support.keys import Known

MARK = "cnry7f3a"
ROUTER, OPS = Known("router"), Known("ops", ("admin",))
OVER = Known("over", ("route", "admin"), "expires = 2020-01-01T00:00:00Z")
SLOW = Known("slow", further="tickets_per_second = 0.001\nburst = 1")
STRANGER = Known("stranger", ("route", "admin"))
KEYS = (ROUTER, OPS, OVER, SLOW, STRANGER)
CLOSE = "Connection: close"
_MARKED = re.compile(rf"{MARK}([a-z]+?)(?={MARK}|[^a-z]|$)")


def canary(kind: str) -> str:
    return f"{MARK}{kind}"


def leaks(captured: str | bytes) -> set[str]:
    """The fields of the canaries in an output: the suffix of the mark, or the name of the key."""
    text = (captured if isinstance(captured, str) else captured.decode("latin-1")).lower()
    marked = set(_MARKED.findall(text))
    keys = {f"key {known.name}" for known in KEYS if known.key.lower() in text}
    return marked | keys | {f"digest {known.name}" for known in KEYS if digest_of(known.key) in text}


@dataclass(frozen=True, slots=True)
class Sent:
    """A request with canaries, and the statuses allowed for it, so that it reaches the code it is meant for."""

    name: str
    raw: bytes
    allowed: frozenset[int]


def answer(port: int, raw: bytes, seconds: float = 20) -> bytes:
    """The whole response, or what was received until the connection was closed."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(raw)
        try:
            while not is_whole(received) and (piece := connection.recv(65536)):
                received += piece
        except (ConnectionResetError, TimeoutError):
            pass
    return received


def is_whole(received: bytes) -> bool:
    head, blank, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(blank) and length is not None and len(body) >= int(length[1])


def status_of(received: bytes) -> int:
    return int(received.split(maxsplit=2)[1])


def ticket(**changes: object) -> dict[str, object]:
    """A ticket with a canary in every field, and in field names."""
    fields: dict[str, object] = {
        "id": canary("id"),
        "subject": canary("subject"),
        "body": canary("body"),
        "from": f"{canary('sender')} <{canary('sender')}@example.com>",
        "to": [f"{canary('recipient')}@example.com"],
        "headers": {f"X-{canary('headername')}": canary("headervalue")},
    }
    return fields | changes


def html() -> str:
    return f"<style>{canary('css')}</style><a href='http://x/{canary('link')}'>{canary('html')}</a><!--{canary('comment')}-->"


def mail(body: str = "") -> bytes:
    """A mail with an attachment, HTML, encoded words, and parts that no parser knows."""
    lines = [
        f"From: =?utf-8?q?{canary('mailname')}?= <{canary('mailfrom')}@example.com>",
        f"To: {canary('mailto')}@example.com",
        f"Subject: {canary('mailsubject')}",
        f"Message-ID: <{canary('messageid')}@example.com>",
        f"X-{canary('mailheader')}: {canary('mailvalue')}",
        f'Content-Type: multipart/mixed; boundary="{canary("boundary")}"',
        "",
        f"--{canary('boundary')}",
        f"Content-Type: text/html; charset={canary('charset')}",
        "",
        html() + body,
        f"--{canary('boundary')}",
        f'Content-Disposition: attachment; filename="{canary("filename")}.pdf"',
        f"Content-Type: application/{canary('parttype')}",
        "",
        canary("attachment"),
        f"--{canary('boundary')}--",
    ]
    return "\r\n".join(lines).encode()


def common(known: Known | None = None) -> list[str]:
    """Headers that any client may send."""
    lines = [
        f"User-Agent: {canary('agent')}",
        f"Cookie: session={canary('cookie')}",
        f"Referer: http://x/{canary('referer')}",
        f"X-Forwarded-For: {canary('forwarded')}",
        f"Accept: text/{canary('accept')}",
        f"X-Request-ID: {canary('requestid')} is not well-formed",
        f"tracestate: {canary('tracestate')}=1",
        f"traceparent: {canary('traceparent')}",
        CLOSE,
    ]
    return [*lines, *(f"{name}: {value}" for name, value in (known.header if known else {}).items())]


def post(
    path: str, body: bytes, *lines: str, known: Known | None = ROUTER, kind: str = "application/json", less: int = 0
) -> bytes:
    """A POST; `less`: this many bytes of the body are not sent."""
    declared = [f"Content-Length: {len(body)}", *common(known), *lines]
    return head(*declared, request=f"POST {path} HTTP/1.1", kind=kind) + body[: len(body) - less]


def get(path: str, *lines: str, known: Known | None = ROUTER, method: str = "GET") -> bytes:
    return head(*common(known), *lines, request=f"{method} {path} HTTP/1.1", kind=None)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def public_requests() -> Iterator[Sent]:
    """Requests to the public port of a service with KEYS."""
    good = as_json(ticket())
    yield from _sent(
        [
            ("a ticket", post("/v1/route", good), 200),
            ("HTML", post("/v1/route", as_json(ticket(body=html(), content_type="text/html"))), 200),
            ("a mail", post("/v1/route", mail(), kind="message/rfc822"), 200),
            ("a batch", post("/v1/route/batch", as_json({"tickets": [ticket(), ticket(body=1), ticket()]})), 200),
            ("the model", get("/v1/model"), 200),
            ("truncated JSON", post("/v1/route", good[:-1]), 400),
            (
                "a name that stands twice",
                post("/v1/route", good[:-1] + b',"body":"%s"}' % canary("twice").encode()),
                400,
            ),
            ("a lone surrogate", post("/v1/route", b'{"body":"%s\\ud800"}' % canary("surrogate").encode()), 400),
            ("a timeout that is none", post("/v1/route", good, f"X-Request-Timeout: {canary('timeout')}"), 400),
            ("a key in the query", get(f"/v1/model?key={ROUTER.key}&x={canary('query')}"), 400),
            ("a key in the path", get(f"/{ROUTER.key}/{canary('path')}?{canary('query')}"), 404),
            ("a method", get(f"/{canary('path')}", method="DELETE"), 404),
            ("a method that is none", get("/v1/model", method=canary("method").upper()), 400),
            ("a method with a body", post("/v1/model", good), 405),
            ("no key", post("/v1/route", good, known=None), 401),
            ("somebody's key", post("/v1/route", good, known=STRANGER), 401),
            ("an expired key", post("/v1/route", good, known=OVER), 401),
            ("a key of another form", post("/v1/route", good, f"Authorization: {canary('key')}", known=None), 401),
            ("a password", post("/v1/route", good, f"Authorization: Basic {canary('basic')}", known=None), 401),
            ("another role", post("/v1/route", good, known=OPS), 403),
            ("too much", post("/v1/route", as_json(ticket(body=canary("body") * 100_000))), 413),
            ("a mail of too many parts", post("/v1/route", many_parts(), kind="message/rfc822"), 200),
            ("a long address", get("/" + canary("path") * 2000), 414),
            ("another type", post("/v1/route", good, kind=f"text/{canary('type')}"), 415),
            ("another encoding", post("/v1/route", good, f"Content-Encoding: {canary('encoding')}"), 415),
            ("another shape", post("/v1/route", as_json(ticket(to=[1, canary("list")], body={canary("map"): 1}))), 422),
            ("a field of its own", post("/v1/route", as_json(ticket(**{canary("field"): canary("value")}))), 422),
            ("no list", post("/v1/route/batch", as_json({"tickets": {canary("map"): ticket()}})), 422),
            ("no object", post("/v1/route", as_json(canary("string"))), 422),
            ("one ticket at once", post("/v1/route", good, known=SLOW), 200),
            ("a ticket too many", post("/v1/route", good, known=SLOW), 429),
            ("headers without end", get("/v1/model", *(f"X-{canary('many')}{n}: y" for n in range(200))), 431),
            ("a large header", get("/v1/model", f"X: {canary('large') * 9000}"), 431),
            ("a body that does not come", post("/v1/route", good, "X-Request-Timeout: 0.3", less=9), 408),
            ("a ticket out of time", post("/v1/route", as_json({"body": "late"}), "X-Request-Timeout: 0.00001"), 504),
            ("no HTTP", canary("garbage").encode() + b"\r\n\r\n", 400),
            ("a header without a colon", head(canary("nocolon"), request="GET / HTTP/1.1"), 400),
            ("two Hosts", head(CLOSE, f"Host: {canary('host')}", request="GET /v1/model HTTP/1.1"), 400),
            ("a chunk that is none", head(*common(ROUTER), "Transfer-Encoding: chunked") + b"zz" + good, 400),
            ("a websocket", get("/v1/model", "Connection: upgrade", f"Upgrade: {canary('upgrade')}"), 200),
        ]
    )


def management_requests() -> Iterator[Sent]:
    """Requests to the management port of a service with KEYS."""
    reload = as_json({"bundle": canary("bundle")})
    yield from _sent(
        [
            ("metrics", get(f"/metrics?{canary('query')}"), 200),
            ("the documentation", get(f"/docs?url={canary('query')}", known=None), 200),
            ("a file of the documentation", get(f"/docs/assets/{canary('asset')}"), 404),
            ("a folder above", get(f"/docs/assets/../../{canary('asset')}"), 404),
            ("status", get("/admin/status", known=OPS), 200),
            ("status without a key", get("/admin/status", known=STRANGER), 401),
            ("a key in the query", get(f"/admin/status?token={OPS.key}", known=OPS), 400),
            ("a bundle that is none", post("/admin/reload", reload, known=OPS), 409),
            ("another role", post("/admin/reload", reload, known=ROUTER), 403),
            ("somebody's key", post("/admin/reload", reload, known=STRANGER), 401),
            ("a web page", post("/admin/reload", reload, f"Origin: http://{canary('origin')}", known=OPS), 403),
            ("another shape", post("/admin/reload", as_json({canary("field"): canary("value")}), known=OPS), 422),
            ("truncated JSON", post("/admin/reload", reload[:-1], known=OPS), 400),
            ("another type", post("/admin/reload", reload, known=OPS, kind=f"text/{canary('type')}"), 415),
            ("too much", post("/admin/reload", reload * 1000, known=OPS), 413),
            ("a path", get(f"/{canary('path')}"), 404),
            ("no HTTP", canary("garbage").encode() + b"\r\n\r\n", 400),
        ]
    )


def many_parts() -> bytes:
    """A mail with too many parts to parse."""
    part = f"--b\r\nContent-Type: image/x; name={canary('partname')}\r\n\r\n{canary('part')}\r\n"
    return f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{part * 8000}".encode()


def _sent(table: Iterable[tuple[str, bytes, int | set[int]]]) -> Iterator[Sent]:
    for name, raw, allowed in table:
        yield Sent(name, raw, frozenset({allowed} if isinstance(allowed, int) else allowed))
