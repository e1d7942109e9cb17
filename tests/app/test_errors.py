"""Bad requests over a real socket: a 4xx with a stable code, nothing repeated, and the next request is fine."""

import contextlib
import json
import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from models.scoring import Reason
from models.text.prepare import TextFlag
from tests.support.process import Service, post_head

CANARY = "canary-7f3a"
JSON = "application/json"


def post(path: str, body: bytes, *headers: str, kind: str = JSON) -> bytes:
    return post_head(path, len(body), *headers, kind=kind) + body


def chunked(path: str, chunk: bytes, times: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for _ in range(times)) + b"0\r\n\r\n"


def plain(line: str, *headers: str) -> bytes:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", *headers]).encode() + b"\r\n\r\n"


GOOD = b'{"body":"hello"}'
SECRET = json.dumps({"subject": 1, "body": CANARY, CANARY: CANARY}).encode()
CASES = {
    "malformed": (post("/v1/route", b'{"body":"canary-7f3a'), 400, "malformed_json"),
    "empty body": (post("/v1/route", b""), 400, "malformed_json"),
    "lone surrogate": (post("/v1/route", b'{"body":"canary-7f3a \\ud800"}'), 400, "malformed_json"),
    "NaN": (post("/v1/route", b'{"body":NaN,"subject":"canary-7f3a"}'), 400, "malformed_json"),
    "NaN in a batch": (post("/v1/route/batch", b'{"tickets":[{"body":"canary-7f3a"},NaN]}'), 400, "malformed_json"),
    "infinity": (post("/v1/route", b'{"body":1e999}'), 422, "invalid_request"),
    "wrong type, unknown field": (post("/v1/route", SECRET), 422, "invalid_request"),
    "neither": (post("/v1/route", b'{"id":"canary-7f3a"}'), 422, "invalid_request"),
    "duplicate key": (post("/v1/route", b'{"body":"canary-7f3a","body":""}'), 400, "malformed_json"),
    "nesting": (post("/v1/route", b"[" * 40_000), 400, "malformed_json"),
    "batch of nothing": (post("/v1/route/batch", b'{"tickets":[]}'), 422, "invalid_request"),
    "batch without list": (post("/v1/route/batch", b'{"tickets":"canary-7f3a"}'), 422, "invalid_request"),
    "wrong content type": (post("/v1/route", GOOD, kind="text/canary-7f3a"), 415, "unsupported_media_type"),
    "no content type": (plain("POST /v1/route", "Content-Length: 0"), 415, "unsupported_media_type"),
    "other charset": (post("/v1/route", GOOD, kind="application/json; charset=utf-16"), 415, "unsupported_media_type"),
    "mail to the batch": (post("/v1/route/batch", GOOD, kind="message/rfc822"), 415, "unsupported_media_type"),
    "gzip": (post("/v1/route", GOOD, "Content-Encoding: gzip"), 415, "unsupported_encoding"),
    "bad timeout": (post("/v1/route", GOOD, "X-Request-Timeout: canary-7f3a"), 400, "invalid_header"),
    "timeout of zero": (post("/v1/route", GOOD, "X-Request-Timeout: 0.0"), 400, "invalid_header"),
    "infinite timeout": (post("/v1/route", GOOD, "X-Request-Timeout: inf"), 400, "invalid_header"),
    "declared too large": (
        plain("POST /v1/route", f"Content-Type: {JSON}", "Content-Length: 1000001"),
        413,
        "body_too_large",
    ),
    "absurdly large": (
        plain("POST /v1/route", f"Content-Type: {JSON}", f"Content-Length: {10**18}"),
        413,
        "body_too_large",
    ),
    "chunked too large": (chunked("/v1/route", b" " * 50_000, 21), 413, "body_too_large"),
    "mail too large": (post_head("/v1/route", 25_000_001, kind="message/rfc822"), 413, "body_too_large"),
    "unknown path": (plain(f"GET /{CANARY}?key={CANARY}"), 404, "not_found"),
    "path with a slash more": (post("/v1/route/", GOOD), 404, "not_found"),
    "no documents here": (plain("GET /docs"), 404, "not_found"),
    "no metrics here": (plain("GET /metrics"), 404, "not_found"),
    "late body": (post_head("/v1/route", 50, "X-Request-Timeout: 0.5") + b"{", 408, "request_timeout"),
    "late batch": (post_head("/v1/route/batch", 50, "X-Request-Timeout: 0.5") + b"{", 408, "request_timeout"),
    "no request line": (b"canary-7f3a\r\n\r\n", 400, "malformed_http"),
    "bad version": (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, "malformed_http"),
    "unknown method": (plain("FOOBAR /"), 400, "malformed_http"),
    "path outside ASCII": ("GET /canary-7f3a-é HTTP/1.1\r\n\r\n".encode(), 400, "malformed_http"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_http"),
    "proxy request": (plain("CONNECT canary-7f3a:443"), 400, "malformed_http"),
    "two lengths": (post("/v1/route", GOOD, "Content-Length: 16"), 400, "malformed_http"),
    "length below zero": (post_head("/v1/route", -1), 400, "malformed_http"),
    "length and chunks": (
        post_head("/v1/route", 5, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        400,
        "malformed_http",
    ),
    "broken chunk": (chunked("/v1/route", b"x", 1)[:-10] + b"canary-7f3a", 400, "malformed_http"),
    "wrong method": (plain("GET /v1/route"), 405, "method_not_allowed"),
    "wrong method of the model": (plain("DELETE /v1/model"), 405, "method_not_allowed"),
}


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as opened:
        yield opened


def exchange(service: Service, raw: bytes, port: int = 0) -> tuple[int, dict[str, str], bytes]:
    """Send bytes unchanged and read one response, of the public port by default."""
    with socket.create_connection(("127.0.0.1", port or service.port), timeout=10) as connection:
        # The answer may come, and the connection be closed, before we are done.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536) or pytest.fail("no answer")
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        while len(body) < int(headers["content-length"]):
            body += connection.recv(65536)
    return int(lines[0].split()[1]), headers, body


@pytest.mark.parametrize(("raw", "status", "code"), CASES.values(), ids=CASES)
def test_each_bad_request_has_its_own_problem(
    service: Service, client: httpx.Client, raw: bytes, status: int, code: str
) -> None:
    """Status and code as documented, problem+json, a request id, no content of the request; the next request is
    answered."""
    got, headers, body = exchange(service, raw)
    problem = json.loads(body)
    assert (got, problem["code"], problem["status"]) == (status, code, status)
    assert headers["content-type"] == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id", "errors"}
    assert problem["request_id"] == headers["x-request-id"]
    assert CANARY not in body.decode() + repr(headers)
    assert client.post("/v1/route", json={"body": "hello"}).status_code == 200


def test_garbage_after_a_valid_request_does_not_affect_its_response(service: Service) -> None:
    """The valid request is answered; then the connection is closed."""
    status, headers, body = exchange(service, post("/v1/route", GOOD) + b"canary-7f3a\r\n\r\n")
    assert (status, headers["connection"]) == (200, "close")
    assert "outcome" in json.loads(body)


def test_both_ports_refuse_malformed_http_and_the_public_port_counts_it(service: Service) -> None:
    """One refusal is one request without route and method; its connection is closed."""
    series = 'http_requests_total{code="400",method="other",route="unmatched"}'
    before = service.counts(re.escape(series))
    _, headers, _ = exchange(service, b"canary-7f3a\r\n\r\n")
    status, _, watched = exchange(service, b"canary-7f3a\r\n\r\n", service.management_port)
    assert headers["connection"] == "close"
    assert (status, json.loads(watched)["code"]) == (400, "malformed_http")
    assert service.counts(re.escape(series)) - before == 1


def test_a_timeout_of_any_length_is_capped(client: httpx.Client) -> None:
    """A very long client timeout is no error."""
    answer = client.post("/v1/route", json={"body": "hello"}, headers={"X-Request-Timeout": "99999999999"})
    assert answer.status_code == 200


def test_a_wrong_method_is_answered_with_the_allowed_one(client: httpx.Client) -> None:
    """The 405 has an Allow header."""
    assert client.get("/v1/route").headers["allow"] == "POST"
    assert client.post("/v1/model").headers["allow"] == "GET"


def test_an_ordinary_client_library_sees_413_for_a_large_body(client: httpx.Client) -> None:
    """A client that sends its whole body before it reads still gets the response, declared or chunked."""
    body = json.dumps({"body": "x" * 3_000_000}).encode()
    declared = client.post("/v1/route", content=body, headers={"Content-Type": JSON})
    streamed = client.post("/v1/route", content=iter([body]), headers={"Content-Type": JSON})
    assert (declared.status_code, streamed.status_code) == (413, 413)


def test_documented_statuses_are_those_of_the_table(service: Service) -> None:
    """OpenAPI lists each possible status of a route, with its codes."""
    document = service.management("/openapi.json").json()
    responses = document["paths"]["/v1/route"]["post"]["responses"]
    assert set(responses) == {"200", "400", "401", "403", "408", "413", "415", "422", "429", "500", "503", "504"}
    assert "overloaded" in responses["429"]["description"]
    assert "Retry-After" in responses["429"]["headers"]
    assert {status for _, status, _ in CASES.values()} - {404, 405} <= {int(status) for status in responses}


def test_documents_name_every_reason_and_flag(service: Service) -> None:
    """Closed sets are enums in OpenAPI, so that generated clients know their members."""
    schemas = service.management("/openapi.json").json()["components"]["schemas"]
    decision = schemas["DecisionOut"]["properties"]
    assert decision["reason"]["$ref"] == "#/components/schemas/Reason"
    assert set(schemas["Reason"]["enum"]) == {str(reason) for reason in Reason}
    flags = decision["flags"]["items"]["anyOf"]
    assert {option.get("$ref") or option["const"] for option in flags} == {"#/components/schemas/TextFlag", "truncated"}
    assert set(schemas["TextFlag"]["enum"]) == {str(flag) for flag in TextFlag}


def test_every_schema_reference_of_openapi_resolves(service: Service) -> None:
    """Request bodies are read as bytes and documented nevertheless."""
    document = service.management("/openapi.json").json()
    content = document["paths"]["/v1/route"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "message/rfc822"}
    referred = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert referred <= set(document["components"]["schemas"])
    assert {"from", "to"} <= set(document["components"]["schemas"]["RouteRequest"]["properties"])
