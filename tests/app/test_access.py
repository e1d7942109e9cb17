"""Keys over real HTTP: roles, Authorization headers, rates, log lines, OpenAPI."""

import json
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.access.keyring import digest_of
from service.app import create_app
from service.settings import Settings
from tests.support.keys import Known, file_of
from tests.support.process import Service, post_head, serving
from tests.support.waiting import wait_until
from tests.unit.service.access.test_access import ROLES, routes_of

ROUTER, HELPER, OPS = Known("zendesk"), Known("importer", ("feedback",)), Known("ops", ("admin",))
OVER = Known("over", ("route", "feedback", "admin"), "expires = 2020-01-01T00:00:00Z")
SLOW = Known("slow", further="tickets_per_second = 0.001\nburst = 3")
BULK = Known("bulk", further="tickets_per_second = 0.001\nburst = 2")
CLUMSY = Known("clumsy", further="tickets_per_second = 0.001\nburst = 3")
FILE = (ROUTER, HELPER, OPS, OVER, SLOW, BULK, CLUMSY)
UNKNOWN = Known("stranger", ("route", "feedback", "admin"))
CALLERS: dict[str, Known | None] = {
    "no key": None,
    "unknown key": UNKNOWN,
    "expired": OVER,
    "route": ROUTER,
    "feedback": HELPER,
    "admin": OPS,
}
TICKET = {"body": "hello"}


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(file_of(*FILE))
    return path


@pytest.fixture(scope="module")
def guarded(tiny_bundle_path: Path, keys_file: Path) -> Iterator[Service]:
    """A service with keys. Shared: tests leave its file as it is."""
    with serving(tiny_bundle_path, "--keys-file", str(keys_file)) as running:
        yield running


def reachable() -> Iterator[tuple[str, str, str]]:
    """Port, method and path of every route there is, from the route tables themselves."""
    app = create_app(Settings())
    for path, _ in routes_of(app):
        port = (
            "management" if any(getattr(route, "path", None) == path for route in app.management.routes) else "public"
        )
        posted = path.startswith(("/v1/route", "/v1/feedback")) or path in ("/admin/reload", "/admin/automation")
        yield port, "POST" if posted else "DELETE" if path.startswith("/v1/tickets") else "GET", path


@pytest.mark.parametrize(("port", "method", "path"), sorted(set(reachable())))
@pytest.mark.parametrize("caller", CALLERS)
def test_a_route_accepts_only_callers_with_its_role(
    guarded: Service, port: str, method: str, path: str, caller: str
) -> None:
    """Every route of both ports, with every role and without a valid key. An accepted request is refused only for its
    body."""
    known, role = CALLERS[caller], ROLES[path]
    base = guarded.url if port == "public" else guarded.management_url
    answer = httpx.request(
        method,
        base + path,
        content=b"{" if method == "POST" else None,
        headers={"Content-Type": "application/json"} | (known.header if known else {}),
    )
    if role is None:
        assert answer.status_code in (200, 404)  # the folder of the documentation's files has no page of its own
    elif caller in ("no key", "unknown key", "expired"):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
    elif caller != role:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "www-authenticate" not in answer.headers
    elif path.startswith(("/v1/decisions", "/v1/feedback", "/v1/tickets")):
        assert (answer.status_code, answer.json()["code"]) == (404, "records_off")
    else:
        assert answer.status_code == (400 if method == "POST" else 200)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v1/route", 405), ("POST", "/v1/nowhere", 404)])
def test_an_unknown_path_is_404_also_without_a_key(guarded: Service, method: str, path: str, status: int) -> None:
    """Unknown paths and methods need no key: the documentation lists all routes, so there is nothing to hide."""
    assert httpx.request(method, guarded.url + path).status_code == status


def answer_to(service: Service, raw: bytes) -> tuple[int, dict[str, Any]]:
    """Status and JSON of one answer to these bytes, on a connection that goes on."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(raw)
        received = b""
        while not (found := re.search(rb"content-length: (\d+)\r\n(?:.*\r\n)*?\r\n", received)) or len(
            received
        ) < found.end() + int(found[1]):
            received += connection.recv(65536) or pytest.fail("no answer")
    return int(received.split()[1]), json.loads(received[found.end() :])


HEADERS: dict[str, tuple[Sequence[bytes], int]] = {
    "none": ([], 401),
    "empty": ([b""], 401),
    "no key": ([b"Bearer"], 401),
    "blanks for a key": ([b"Bearer   "], 401),
    "another scheme": ([b"Basic " + ROUTER.key.encode()], 401),
    "no scheme": ([ROUTER.key.encode()], 401),
    "two headers": ([b"Bearer " + ROUTER.key.encode()] * 2, 401),
    "a header beside it": ([b"Bearer " + ROUTER.key.encode(), b"Basic eA=="], 401),
    "two keys": ([b"Bearer " + ROUTER.key.encode() + b", Bearer " + OPS.key.encode()], 401),
    "outside ASCII": ([b"Bearer trk_" + b"\xe9\xff" * 20], 401),
    "outside ASCII, in UTF-8": (["Bearer trk_é".encode()], 401),
    "over-long": ([b"Bearer trk_" + b"A" * 8000], 401),
    "one letter more": ([b"Bearer " + ROUTER.key.encode() + b"A"], 401),
    "the digest": ([b"Bearer " + digest_of(ROUTER.key).encode()], 401),
    "a tab between": ([b"Bearer\t" + ROUTER.key.encode()], 401),
    "small letters": ([b"bearer " + ROUTER.key.encode()], 200),
    "blanks around": ([b"  Bearer   " + ROUTER.key.encode() + b"  "], 200),
}


@pytest.mark.parametrize(("values", "status"), HEADERS.values(), ids=HEADERS)
def test_a_header_is_one_bearer_key_or_401(guarded: Service, values: Sequence[bytes], status: int) -> None:
    body = json.dumps(TICKET).encode()
    head = post_head("/v1/route", len(body))[:-2]
    lines = b"".join(b"Authorization: " + value + b"\r\n" for value in values)
    assert answer_to(guarded, head + lines + b"\r\n" + body)[0] == status


@pytest.mark.parametrize("path", ["/v1/route", "/v1/route/batch"])
@pytest.mark.parametrize(("known", "status"), [(None, 401), (HELPER, 403)])
def test_the_refusal_does_not_wait_for_the_body(guarded: Service, path: str, known: Known | None, status: int) -> None:
    """The response follows the head; the body is not read."""
    lines = [f"{name}: {value}" for name, value in (known.header if known else {}).items()]
    assert answer_to(guarded, post_head(path, 900_000, *lines))[0] == status


@pytest.mark.parametrize("name", ["key", "api_key", "token", "access_token", "x"])
@pytest.mark.parametrize("port", ["public", "management"])
def test_a_key_in_the_url_is_refused_on_both_ports(guarded: Service, name: str, port: str) -> None:
    """With a code of its own, also if the header has a valid key."""
    url = guarded.url + "/v1/model" if port == "public" else guarded.management_url + "/admin/status"
    for headers in ({}, ROUTER.header, OPS.header):
        answer = httpx.get(url, params={name: ROUTER.key}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "key_in_query")


def test_a_key_in_the_url_is_refused_without_a_keys_file_too(service: Service) -> None:
    """Clients learn the right form before keys are required."""
    assert httpx.post(service.url + "/v1/route?key=x", json=TICKET).json()["code"] == "key_in_query"


def line_of(service: Service, given: str) -> dict[str, Any]:
    wait_until(lambda: any(event.get("request_id") == given for event in service.events))
    return next(event for event in service.events if event.get("request_id") == given)


@pytest.mark.parametrize(
    ("known", "problem"),
    [(ROUTER, None), (HELPER, "forbidden"), (OVER, "unauthenticated"), (UNKNOWN, "unauthenticated")],
)
def test_the_log_line_names_the_key(guarded: Service, known: Known, problem: str | None) -> None:
    """By its name in the file, also if the key is refused; an unknown key has no name."""
    given = f"line-{known.name}"
    httpx.post(guarded.url + "/v1/route", json=TICKET, headers=known.header | {"X-Request-ID": given})
    line = line_of(guarded, given)
    assert (line.get("key"), line.get("problem")) == (None if known is UNKNOWN else known.name, problem)


def test_each_key_has_its_own_rate_limit(guarded: Service) -> None:
    """Three tickets, then 429 with Retry-After; another key is accepted; both are counted."""
    with guarded.client() as client:
        answers = [client.post("/v1/route", json=TICKET, headers=SLOW.header) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["code"] == "rate_limited"
        assert 1 <= int(answers[-1].headers["retry-after"]) < 60
        assert client.post("/v1/route", json=TICKET, headers=ROUTER.header).status_code == 200
        assert client.get("/v1/model", headers=SLOW.header).status_code == 200  # it is no ticket
    samples = guarded.samples()
    assert samples['ticket_router_key_tickets_total{key="slow",outcome="admitted"}'] == 3
    assert samples['ticket_router_key_tickets_total{key="slow",outcome="rate_limited"}'] == 2
    assert samples['ticket_router_key_tickets_total{key="zendesk",outcome="rate_limited"}'] == 0
    assert samples["ticket_router_keys"] == len(FILE)


def test_a_batch_counts_its_tickets(guarded: Service) -> None:
    """A batch larger than the burst is accepted once; the next request must wait."""
    tickets = {"tickets": [TICKET] * 5}
    with guarded.client() as client:
        answers = [client.post("/v1/route/batch", json=tickets, headers=BULK.header) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert client.post("/v1/route", json=TICKET, headers=BULK.header).status_code == 429
    assert guarded.samples()['ticket_router_key_tickets_total{key="bulk",outcome="admitted"}'] == 5


def test_a_request_refused_for_its_body_takes_a_ticket(guarded: Service) -> None:
    """The rate is checked before type and body: three unreadable requests use up a burst of three."""
    headers = CLUMSY.header | {"Content-Type": "text/plain"}
    with guarded.client() as client:
        answers = [client.post("/v1/route", content=b"hello", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [415, 415, 415, 429]


def test_openapi_documents_the_key(guarded: Service) -> None:
    """Each operation names the scheme with its role, and the possible refusals."""
    document = guarded.management("/openapi.json").json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    roles = [operation["security"] for operation in operations]
    wanted = ["route"] * 3 + ["feedback"] * 4 + ["admin"]
    assert sorted(roles, key=str) == sorted(([{"bearer": [role]}] for role in wanted), key=str)
    assert all({"400", "401", "403"} <= operation["responses"].keys() for operation in operations)


def test_administrative_actions_are_audited(guarded: Service) -> None:
    """The caller and the result of a reload, and each refusal, with the request id."""
    outcomes = []
    for known, content in ((OPS, {}), (OPS, {"bundle": "0" * 16}), (ROUTER, {}), (UNKNOWN, {})):
        given = f"audit-{len(outcomes)}"
        headers = known.header | {"X-Request-ID": given}
        httpx.post(guarded.management_url + "/admin/reload", json=content, headers=headers, timeout=30)
        wait_until(lambda: any(line.get("request_id") == given for line in audits(guarded)))  # noqa: B023 - used at once
        (line,) = [line for line in audits(guarded) if line.get("request_id") == given]
        outcomes.append((line["who"], line["action"], line["outcome"]))
    assert outcomes == [
        ("ops", "reload", "done"),
        ("ops", "reload", "reload_refused"),
        ("zendesk", "reload", "forbidden"),
        ("unknown", "reload", "unauthenticated"),
    ]


@pytest.mark.parametrize(
    ("content", "headers", "outcome"),
    [
        (b"{", {"Content-Type": "application/json"}, "malformed_json"),
        (b'{"bundle": 1}', {"Content-Type": "application/json"}, "invalid_request"),
        (b"{}", {"Content-Type": "text/plain"}, "unsupported_media_type"),
        (b" " * 20_000, {"Content-Type": "application/json"}, "body_too_large"),
        (b"", {"Origin": "http://x"}, "from_a_page"),
        (b"", {}, "done"),
    ],
)
def test_every_outcome_of_an_administrative_request_is_audited(
    guarded: Service, content: bytes, headers: dict[str, str], outcome: str
) -> None:
    """Also a malformed request, and one that a web page sent: both came with a valid key."""
    given = f"shape-{outcome}"
    headers = OPS.header | headers | {"X-Request-ID": given}
    httpx.post(guarded.management_url + "/admin/reload", content=content, headers=headers, timeout=30)
    wait_until(lambda: any(line.get("request_id") == given for line in audits(guarded)))
    (line,) = [line for line in audits(guarded) if line.get("request_id") == given]
    assert (line["who"], line["action"], line["outcome"]) == ("ops", "reload", outcome)


def audits(service: Service) -> list[dict[str, Any]]:
    return [event for event in service.events if event["event"] == "audit"]


def test_no_key_and_no_digest_appears_in_any_output(guarded: Service) -> None:
    """Checks log, metrics, status and documents after all requests of this module; run alone, it checks less."""
    httpx.post(guarded.url + f"/v1/route?key={ROUTER.key}", json=TICKET, headers=ROUTER.header)
    httpx.get(guarded.url + f"/{ROUTER.key}", headers={"Authorization": f"Basic {ROUTER.key}"})
    output = json.dumps(guarded.events) + "".join(
        httpx.get(guarded.management_url + path, headers=OPS.header).text
        for path in ("/metrics", "/admin/status", "/openapi.json")
    )
    secrets = [secret for known in (*FILE, UNKNOWN) for secret in (known.key, digest_of(known.key))]
    assert [secret for secret in secrets if secret in output] == []
