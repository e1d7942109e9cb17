"""The protocol by itself, on a real event loop and a real socket, with any bytes in any pieces."""

import asyncio
import gc
import math
import weakref
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from service.http.body import BodyReader
from service.http.fast_path import application
from service.http.middleware import RequestMiddleware
from service.server.limits import PUBLIC
from service.server.protocol import LimitedProtocol
from tests.faults.accepted import accepted
from tests.faults.http_cases import GOOD, chunked, get, head, post
from tests.faults.wire import STATUS

LIMITS = replace(PUBLIC, head_seconds=0.3, idle_seconds=0.2, closing_seconds=0.3)
SECONDS = 20
BODY_SECONDS = 0.3
BODY_BYTES = 1000
SOUND = (post(GOOD), chunked(GOOD, 2), get(), head("Content-Length: 2000"), get("Connection: Upgrade", "Upgrade: h2c"))

pieces = st.lists(st.one_of(st.sampled_from(SOUND), st.binary(max_size=40)), max_size=6).map(b"".join)


async def echo(request: Request) -> PlainTextResponse:
    loop = asyncio.get_running_loop()
    body = await BodyReader(BODY_SECONDS).read(request, BODY_BYTES, loop.time() + SECONDS)
    return PlainTextResponse(str(len(body)))


async def exchange(*parts: bytes) -> bytes:
    """What comes back for these parts, sent one after another, until the connection is closed."""
    protocol, _, theirs = await accepted(RequestMiddleware(application(echo)), LIMITS)
    reader, writer = await asyncio.open_connection(sock=theirs)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0)
    try:
        async with asyncio.timeout(SECONDS):
            received = b""
            while data := await _read(reader, protocol):
                received += data
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    async with asyncio.timeout(SECONDS):
        while protocol.connections:  # noqa: ASYNC110 - the protocol learns of the end in a later turn of the loop
            await asyncio.sleep(0)
    return received


async def _read(reader: asyncio.StreamReader, protocol: LimitedProtocol) -> bytes:
    """The next piece; meanwhile late connections are closed, as the server's tick does."""
    reading = asyncio.create_task(reader.read(65536))
    while not (await asyncio.wait({reading}, timeout=0.05))[0]:
        protocol._port.close_overdue(asyncio.get_running_loop().time())
    return await reading


@settings(max_examples=40, deadline=None)
@given(pieces, st.lists(st.integers(0, 400), max_size=5))
def test_any_bytes_cut_anywhere_come_to_an_end_without_a_5xx(raw: bytes, cuts: list[int]) -> None:
    """Responses that are no fault of ours, or none, and then the connection is closed: nothing hangs, nothing stays."""
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    received = asyncio.run(exchange(*(raw[start:end] for start, end in pairwise(places))))
    assert all(200 <= int(status) < 500 for status in STATUS.findall(received) if status != b"100")
    assert not received or received.startswith(b"HTTP/1.1 ")


def test_the_same_bytes_in_any_pieces_get_the_same_responses() -> None:
    """Where the network cuts a request changes nothing."""
    raw = post(GOOD) + chunked(GOOD, 2) + get("Connection: Upgrade", "Upgrade: h2c") + post(GOOD, "Connection: close")
    whole = STATUS.findall(asyncio.run(exchange(raw)))
    single = STATUS.findall(asyncio.run(exchange(*(bytes([byte]) for byte in raw))))
    assert whole == single == [b"200"] * 4


@pytest.mark.parametrize("close", ["", ", close"])
def test_an_upgrade_is_ignored(close: str) -> None:
    """The parser takes what follows for the other protocol: the body, and the next request, would be dropped."""
    wish = (f"Connection: Upgrade{close}", "Upgrade: h2c", "HTTP2-Settings: x")
    received = asyncio.run(exchange(post(GOOD, *wish) + post(GOOD)))
    assert received.count(b"\r\n\r\n16") == (1 if close else 2)


def test_responses_to_earlier_requests_come_before_the_end_of_a_malformed_one() -> None:
    """A 400 in their place would be taken for the response to the first."""
    received = asyncio.run(exchange(post(GOOD) * 2 + b"garbage\r\n\r\n"))
    assert STATUS.findall(received) == [b"200"] * 2
    assert received.count(b"connection: close") == 1


def test_a_malformed_body_ends_its_request_with_a_400() -> None:
    """The client gets the problem, and the application no half body."""
    received = asyncio.run(exchange(head("Transfer-Encoding: chunked") + b"2\r\nab\r\n", b"zz\r\n"))
    assert STATUS.findall(received) == [b"400"]
    assert b'"code":"malformed_http"' in received


def test_a_trailer_is_not_among_the_headers() -> None:
    """The length or the key of a request must not change after it was read."""

    async def play() -> list[str]:
        seen: list[str] = []

        async def names(request: Request) -> PlainTextResponse:
            await request.body()
            seen.extend(request.headers.keys())
            return PlainTextResponse("")

        _, _, theirs = await accepted(application(names))
        reader, writer = await asyncio.open_connection(sock=theirs)
        writer.write(chunked(GOOD, 1, "Connection: close")[:-2] + b"X-Trailer: 1\r\n\r\n")
        await reader.read()
        writer.transport.abort()
        return seen

    assert "x-trailer" not in asyncio.run(play())


def test_a_client_that_got_no_100_continue_is_let_go_with_its_response() -> None:
    """It may send the body or its next request: read on, the request would be taken for the body."""
    too_large = head(f"Content-Length: {BODY_BYTES + 1}", "Expect: 100-continue")
    received = asyncio.run(exchange(too_large, post(GOOD)))
    assert STATUS.findall(received) == [b"413"]


def test_a_reset_connection_leaves_no_timer() -> None:
    """uvicorn cancels its keep-alive timer after an orderly end only: else it keeps the request in memory."""

    async def play() -> bool:
        protocol, transport, theirs = await accepted(RequestMiddleware(application(echo)))
        theirs.sendall(get())
        while protocol.timeout_keep_alive_task is None:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        timer = protocol.timeout_keep_alive_task
        protocol.connection_lost(ConnectionResetError())
        transport.abort()
        theirs.close()
        return timer.cancelled()

    assert asyncio.run(play())


@pytest.mark.parametrize(
    "sent",
    [post(GOOD), get() * 3, head("Content-Length: 9"), b"GET / HTTP/1.1\r\n\r\n", get() + b"\r\n\0"],
    ids=["its answer", "three answers", "half-way", "refused", "an answer, then refused"],
)
def test_a_client_that_leaves_leaves_no_reference_cycles(sent: bytes) -> None:
    """Before its response, or with a refusal: cycles outlive many collections, and memory grows."""

    async def play() -> "weakref.ref[LimitedProtocol]":
        gate = asyncio.Event()

        async def late(request: Request) -> PlainTextResponse:
            await gate.wait()
            return PlainTextResponse(await BodyReader().read(request, len(GOOD), math.inf))

        protocol, _, theirs = await accepted(RequestMiddleware(application(late)))
        theirs.sendall(sent)
        await asyncio.sleep(0.02)
        theirs.close()
        await asyncio.sleep(0.02)
        gate.set()
        await asyncio.sleep(0.02)
        return weakref.ref(protocol)

    gc.disable()
    try:
        assert asyncio.run(play())() is None
    finally:
        gc.enable()
