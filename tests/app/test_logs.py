"""The log lines of requests, without their content."""

import itertools
import json
import socket
import subprocess
import sys
from typing import Any

import httpx
import pytest

from tests.support.process import ROOT, Service, post_head
from tests.support.waiting import wait_until

_numbers = itertools.count(1)
EVERYWHERE = {"event", "level", "time", "request_id", "route", "method", "code"}


def lines_of(service: Service, given: str, count: int = 1) -> list[dict[str, Any]]:
    """The lines with this request id, as soon as there are so many."""
    wait_until(lambda: sum(event.get("request_id") == given for event in service.events) >= count)
    return [event for event in service.events if event.get("request_id") == given]


def said_of(service: Service, method: str, path: str, content: object = None) -> tuple[httpx.Response, dict[str, Any]]:
    """A response, and its one log line."""
    given = f"log-{next(_numbers)}"
    answer = httpx.request(method, service.url + path, json=content, headers={"X-Request-ID": given}, timeout=30)
    (line,) = lines_of(service, given)
    return answer, line


def pipelined(service: Service) -> list[dict[str, Any]]:
    """The lines of two requests sent in one packet: a ticket, and an unknown path."""
    given = [f"piped-{next(_numbers)}" for _ in range(2)]
    body = b'{"body":"hello"}'
    first = post_head("/v1/route", len(body), f"X-Request-ID: {given[0]}") + body
    second = f"GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Request-ID: {given[1]}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(first + second)
        return [line for each in given for line in lines_of(service, each)]


def test_the_log_line_of_a_ticket_has_its_decision_id(service: Service) -> None:
    """Route, method, code, seconds, and the decision's id and outcome; no trace ids without traces."""
    answer, line = said_of(service, "POST", "/v1/route", {"body": "hello"})
    assert line.keys() == EVERYWHERE | {"seconds", "decision_id", "outcome"}
    assert (line["route"], line["method"], line["code"]) == ("/v1/route", "POST", 200)
    decision = answer.json()
    assert (line["decision_id"], line["outcome"]) == (decision["decision_id"], decision["outcome"])


def test_the_log_line_of_a_batch_has_its_number_of_tickets(service: Service) -> None:
    """The response lists the decisions, under the same request id."""
    _, line = said_of(service, "POST", "/v1/route/batch", {"tickets": [{"body": "a"}, {"body": "b"}]})
    assert (line["tickets"], line["code"]) == (2, 200)


def test_the_log_line_of_a_refusal_has_its_problem_code(service: Service) -> None:
    for path, content in (("/v1/route", {"x": 1}), ("/nowhere", None)):
        answer, line = said_of(service, "POST", path, content)
        assert line["problem"] == answer.json()["code"]
        assert "decision_id" not in line


def test_pipelined_requests_have_a_line_each(service: Service) -> None:
    """The second request starts in the context of the first, and its line has no fields of the first."""
    first, second = pipelined(service)
    assert (first["code"], second["code"]) == (200, 404)
    assert first.keys() - second.keys() == {"decision_id", "outcome"}


def test_requests_to_the_management_port_are_not_logged(service: Service) -> None:
    """Neither probes nor refused requests."""
    given = f"managed-{next(_numbers)}"
    for path in ("/livez", "/metrics", "/admin/status", "/nowhere"):
        httpx.get(service.management_url + path, headers={"X-Request-ID": given}, timeout=30)
    said_of(service, "GET", "/nowhere")
    assert not any(event.get("request_id") == given for event in service.events)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"no request\r\n\r\n", 400),
        (b"GET /v1/model HTTP/1.1\r\nX-Request-ID: of-its-client\r\n\r\n", 400),
        (b"GET /" + b"a" * 3000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /v1/model HTTP/1.1\r\nX-Request-ID: of-its-client\r\n" + b"A: b\r\n" * 70 + b"\r\n", 431),
    ],
)
def test_a_refused_request_head_is_logged(service: Service, raw: bytes, code: int) -> None:
    """With the new id of the response, and without route, method and time: nothing was parsed."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(raw)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    problem = json.loads(answer.partition("\r\n\r\n")[2])
    (line,) = lines_of(service, problem["request_id"])
    assert (line["problem"], line["code"]) == (problem["code"], code)
    assert (line["route"], line["method"], line.keys()) == ("unmatched", "other", EVERYWHERE | {"problem"})
    assert problem["request_id"] != "of-its-client"


def test_an_unexpected_error_is_logged_with_its_request_id() -> None:
    """The server's own line has the id of the response."""
    code = """if True:
        import asyncio, socket
        import httpx, uvicorn
        from service.http.middleware import RequestMiddleware
        from service.logs import configure_logging

        async def broken(scope, receive, send):
            raise KeyError("canary-text")

        async def play():
            configure_logging("info")
            listener = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(RequestMiddleware(broken), log_config=None, lifespan="off"))
            serving = asyncio.create_task(server.serve([listener]))
            async with httpx.AsyncClient() as client:
                port = listener.getsockname()[1]
                await client.get(f"http://127.0.0.1:{port}/", headers={"X-Request-ID": "given"})
            server.should_exit = True
            await serving

        asyncio.run(play())
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (line,) = [event for event in events if event["level"] == "error"]
    assert (line["request_id"], "KeyError at" in line["error"]) == ("given", True)
    assert "canary-text" not in done.stdout
