"""`service.http.early`: what is refused by its head alone is refused as the long way would, and nothing else is.

A query, whatever it says, makes a request go the long way: with it every answer can be had both ways.
"""

import asyncio
import gc
import json
import socket
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from service.access.access import Access
from service.access.caller import Caller
from service.errors import DeadlinePassed, NotReady, Overloaded, ServiceError
from service.http.disconnect import raise_refusal
from service.http.early import early
from service.http.fast_path import Endpoint, application
from service.http.refusals import Refusal
from service.http.request_id import Headers
from service.server.limits import PUBLIC
from service.server.protocol import LimitedProtocol
from tests.faults.accepted import accepted, writes
from tests.faults.wire import STATUS
from tests.support.keys import Known, file_of
from tests.support.process import Service, post_head, serving

PATH = "/v1/route"
BODY = json.dumps({"body": "hello"}).encode()
SPENT = Known("spent", further="tickets_per_second = 0.001\nburst = 1")
READER, STRANGER = Known("reader", ("feedback",)), Known("stranger")
IDLE_SECONDS = 0.3
LIMITS = replace(PUBLIC, body_seconds=0.3, write_seconds=0.3)


def request(*headers: str, path: str = PATH, body: bytes = BODY) -> bytes:
    return post_head(path, len(body), *headers) + body


@pytest.fixture(scope="module")
def service(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With a key whose rate is used up."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    keys.write_text(file_of(SPENT, READER))
    with serving(tiny_bundle_path, "--keys-file", str(keys)) as running:
        assert exchanged(running.port, request(SPENT.header_line, "Connection: close")).startswith(b"HTTP/1.1 200 ")
        yield running


def exchanged(port: int, *parts: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        for part in parts:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def answer_of(service: Service, path: str, *headers: str) -> tuple[bytes, dict[str, str], dict[str, object]]:
    """Status line, headers and problem of the first of two requests on one connection."""
    closing = request(SPENT.header_line, "Connection: close", path=f"{PATH}?")
    first = exchanged(service.port, request(*headers, path=path) + closing)
    head, _, rest = first.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    fields = dict(line.decode().split(": ", 1) for line in lines)
    return status, fields, json.loads(rest[: int(fields["content-length"])])


def test_the_answer_is_the_one_of_the_long_way(service: Service) -> None:
    """Status, headers and problem, but for the id and the moment."""
    short, long = (answer_of(service, path, SPENT.header_line) for path in (PATH, f"{PATH}?"))
    assert short[0].startswith(b"HTTP/1.1 429 ")
    for _, fields, problem in (short, long):
        assert problem.pop("request_id") == fields.pop("x-request-id")
        assert 1 <= int(fields.pop("retry-after")) <= 59
        fields.pop("date")
    assert short == long


def test_the_log_line_and_the_counters_are_those_of_the_long_way(service: Service) -> None:
    """The same fields in it, and each refusal counted once, as a request, as a ticket and as its key's."""
    series = (
        'http_requests_total{code="429",method="POST",route="/v1/route"}',
        'rejected_total{reason="rate_limited"}',
        'key_tickets_total{key="spent",outcome="rate_limited"}',
    )
    counted = []
    for number, path in enumerate((PATH, f"{PATH}?")):
        before = service.samples()
        exchanged(
            service.port, request(SPENT.header_line, "Connection: close", f"X-Request-ID: warm-{number}", path=path)
        )
        answer_of(service, path, SPENT.header_line, f"X-Request-ID: mine-{number}")
        after = service.samples()
        counted.append([after[f"ticket_router_{name}"] - before[f"ticket_router_{name}"] for name in series])
    lines = [
        next(event for event in service.events if event.get("request_id") == f"mine-{number}") for number in (0, 1)
    ]
    assert counted == [[3.0] * 3] * 2
    assert lines[0].keys() == lines[1].keys()
    told = ("event", "route", "method", "code", "key", "problem", "level")
    assert [lines[0][name] for name in told] == [lines[1][name] for name in told]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ((STRANGER.header_line,), "unauthenticated"),
        ((READER.header_line,), "forbidden"),
        ((SPENT.header_line, "X-Request-Timeout: soon"), "invalid_header"),
        ((), "unauthenticated"),
    ],
    ids=["a stranger", "another role", "a broken header", "no key"],
)
def test_another_fault_comes_first_as_it_does_on_the_long_way(
    service: Service, headers: tuple[str, ...], code: str
) -> None:
    """Who is not let in is not told how full it is."""
    assert answer_of(service, PATH, *headers)[2]["code"] == code


@pytest.mark.parametrize("path", [PATH, f"{PATH}?"], ids=["by its head", "the long way"])
def test_who_is_still_sending_a_large_body_gets_the_refusal(service: Service, path: str) -> None:
    """Cut off instead, a client or a proxy that first sends and then reads would have an error and no 429."""
    body = b"x" * PUBLIC.unwanted_bytes
    closing = request(SPENT.header_line, "Connection: close")
    answers = exchanged(service.port, request(SPENT.header_line, path=path, body=body) + closing)
    assert STATUS.findall(answers) == [b"429"] * 2


# The protocol by itself, with a port that is full for everybody.

FULL = Refusal(Overloaded(3), "id-1", PATH, "POST")


async def ok(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("long")


async def played(
    *parts: bytes,
    full: Callable[[bytes, Headers], Refusal | None],
    seen: list["weakref.ref[LimitedProtocol]"],
    app: Endpoint = ok,
) -> list[bytes]:
    """What is written for these parts, one after another, until the connection is closed."""
    protocol, transport, theirs = await accepted(application(app), LIMITS, full, IDLE_SECONDS)
    seen.append(weakref.ref(protocol))
    return await writes(transport, theirs, *parts)


def play(
    *parts: bytes,
    full: Callable[[bytes, Headers], Refusal | None] = lambda _target, _headers: FULL,
    app: Endpoint = ok,
) -> list[str]:
    """The status of each write."""
    return [STATUS.findall(one)[0].decode() for one in asyncio.run(played(*parts, full=full, seen=[], app=app))]


def test_the_connection_goes_on_after_a_refusal() -> None:
    """With its body in the same piece, later, and in pieces; then it is closed as idle, as every connection is."""
    head, body = request()[: -len(BODY)], BODY
    assert play(request(), head, body, head + body[:3], body[3:]) == ["429"] * 3


def test_who_never_sends_the_rest_of_a_refused_body_is_not_waited_for() -> None:
    """Its answer is there; the connection is closed with its body's time."""
    assert play(request()[:-3]) == ["429"]


def test_refusals_in_a_row_are_answered_in_their_order() -> None:
    """Each by itself, and what goes the long way among them in its place."""
    mixed = [Refusal(Overloaded(3), "id-1", PATH, "POST"), None, Refusal(Overloaded(3), "id-3", PATH, "POST")]
    answers = iter([*mixed, *mixed])
    parts = [request()] * 6
    assert play(*parts, full=lambda _target, _headers: next(answers)) == ["429", "200", "429"] * 2
    # In one piece the one behind a long answer waits for it, and goes the long way as well.
    answers = iter(mixed)
    assert play(b"".join(parts[:3]), full=lambda _target, _headers: next(answers)) == ["429", "200", "200"]


@pytest.mark.parametrize(
    "raw",
    [
        request("Connection: close"),
        request("Expect: 100-continue"),
        request().replace(b"HTTP/1.1", b"HTTP/1.0"),
        request().replace(b"POST", b"PUT"),
    ],
    ids=["the last of its connection", "to be told to go on", "HTTP/1.0", "another method"],
)
def test_what_ends_its_connection_or_is_no_post_goes_the_long_way(raw: bytes) -> None:
    """There all that belongs to it is done."""
    assert play(raw) == ["200"]


@pytest.mark.parametrize(
    "raw",
    [request("Connection: close"), request(path=f"{PATH}?"), request().replace(b"HTTP/1.1", b"HTTP/1.0")],
    ids=["the last of its connection", "a query", "HTTP/1.0"],
)
def test_the_long_way_is_no_way_round_a_full_queue(raw: bytes) -> None:
    """It is held to what was found at its head: what looks again later takes the room that was made meanwhile."""
    found: list[ServiceError] = []

    async def admitted(request: Request) -> PlainTextResponse:
        try:
            raise_refusal(request.scope)
        except ServiceError as error:
            found.append(error.with_traceback(None))
        return await ok(request)

    assert play(raw, app=admitted) == ["200"]
    assert found == [FULL.error]
    found.clear()
    assert play(raw, app=admitted, full=lambda _target, _headers: None) == ["200"]
    assert found == []


def test_who_does_not_read_is_not_written_to() -> None:
    """Requests whose answers nobody takes wait for their turn: they do not pile up as refusals in memory."""

    async def test() -> int:
        _, transport, theirs = await accepted(application(ok), early=lambda _target, _headers: FULL)
        theirs.setblocking(False)
        for _ in range(20_000):
            try:
                theirs.send(request())
            except BlockingIOError:
                await asyncio.sleep(0)
        held = transport.get_write_buffer_size()
        transport.abort()
        await asyncio.sleep(0)
        theirs.close()
        return held

    assert asyncio.run(test()) < 200_000


def test_refusals_leave_nothing_for_the_collector() -> None:
    """An error knows the frames it came through, and these knew it: in a flood that is a pause for everybody."""
    raised: list[weakref.ref[Overloaded]] = []

    def check(_caller: Caller, _headers: Headers) -> None:
        error = Overloaded(3)
        raised.append(weakref.ref(error))
        raise error

    refuse = early(Access(None, CollectorRegistry()), {PATH: check})
    seen: list[weakref.ref[LimitedProtocol]] = []
    gc.collect()
    gc.disable()
    try:
        asyncio.run(played(request(), request(), full=refuse, seen=seen))
        assert seen[0]() is None
        assert raised
        assert not [error for error in raised if error() is not None]
    finally:
        gc.enable()


def overloaded(_caller: Caller, _headers: Headers) -> None:
    raise Overloaded(3)


@pytest.mark.parametrize("error", [NotReady("x"), DeadlinePassed()])
def test_what_is_no_refusal_of_a_flood_goes_the_long_way(error: Exception) -> None:
    """Only what comes by the thousand needs the short one."""

    def check(_caller: Caller, _headers: Headers) -> None:
        raise error

    assert early(Access(None, CollectorRegistry()), {PATH: check})(PATH.encode(), []) is None


@pytest.mark.parametrize("target", [b"/v1/route?", b"/v1/route?trk_=1", b"/v1/model", b"//v1/route", b"/v1/rout%65"])
def test_another_target_goes_the_long_way(target: bytes) -> None:
    """Only the very path is known to be what it seems."""
    assert early(Access(None, CollectorRegistry()), {PATH: overloaded})(target, []) is None
