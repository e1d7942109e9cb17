"""`service.http.cycle`: how many writes an answer takes, over a real socket with a transport that counts them."""

import asyncio
import gc
import math
import weakref

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from service.http.body import BodyReader
from service.http.fast_path import application
from service.http.middleware import Problems, RequestId
from service.server.protocol import LimitedProtocol
from tests.faults.accepted import accepted, writes
from tests.faults.http_cases import GOOD, get, head, post

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def pieces(*sent: bytes, seen: "list[weakref.ref[LimitedProtocol]] | None" = None) -> list[bytes]:
    """What is written for these parts until the connection is closed, write by write. `seen` gets the connection."""
    protocol, transport, theirs = await accepted(application(length))
    if seen is not None:
        seen.append(weakref.ref(protocol))
    return await writes(transport, theirs, *sent)


@pytest.mark.parametrize(
    ("request_", "end"),
    [
        (post(GOOD, "Connection: close"), b"\r\n\r\n16"),
        (get("Connection: close"), b"\r\n\r\n0"),
        (head("Connection: close", request="HEAD / HTTP/1.1"), b"\r\n\r\n"),
    ],
    ids=["with a body", "GET", "HEAD"],
)
def test_an_answer_is_one_write(request_: bytes, end: bytes) -> None:
    """Head and body together; an answer that is all head is not held back."""
    written = asyncio.run(pieces(request_))
    assert len(written) == 1
    assert written[0].startswith(b"HTTP/1.1 200 ")
    assert written[0].endswith(end)


def test_who_waits_to_be_told_to_go_on_is_told_at_once() -> None:
    """100 Continue comes before the body is there, and is no part of the answer."""
    expecting = head(f"Content-Length: {len(GOOD)}", "Expect: 100-continue", "Connection: close")
    written = asyncio.run(pieces(expecting, GOOD))
    assert written[0] == CONTINUE
    assert len(written) == 2


def test_who_is_answered_in_place_of_being_told_to_go_on_is_let_go() -> None:
    """It may leave its body out then: read on, its next request would be that body."""

    async def unread(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("no")

    async def play() -> list[bytes]:
        _, transport, theirs = await accepted(application(unread))
        return await writes(transport, theirs, head(f"Content-Length: {len(GOOD)}", "Expect: 100-continue"))

    (written,) = asyncio.run(play())
    assert written.endswith(b"\r\nconnection: close\r\n\r\nno")


def test_pipelined_answers_are_one_write_each() -> None:
    """In their order, none of them held back until the next."""
    written = asyncio.run(pieces(post(GOOD) * 2 + post(GOOD, "Connection: close")))
    assert [one.startswith(b"HTTP/1.1 200 ") and one.endswith(b"16") for one in written] == [True] * 3


def test_a_connection_that_is_over_is_gone_without_the_collector() -> None:
    """Else a flood of them would pile up until it runs, and then keep everybody waiting."""
    seen: list[weakref.ref[LimitedProtocol]] = []
    gc.disable()
    try:
        asyncio.run(pieces(post(GOOD), get("Connection: close"), seen=seen))
        assert seen[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "sent",
    [post(GOOD), get() * 3, head("Content-Length: 9"), b"GET / HTTP/1.1\r\n\r\n", get() + b"\r\n\0"],
    ids=["its answer", "three answers", "half-way", "refused", "an answer, then refused"],
)
def test_a_client_that_leaves_leaves_nothing_to_the_collector(sent: bytes) -> None:
    """Before its answer, or with a refusal: what they leave in cycles outlives many collections, and memory grows."""

    async def play() -> "weakref.ref[LimitedProtocol]":
        gate = asyncio.Event()

        async def late(request: Request) -> PlainTextResponse:
            await gate.wait()
            return PlainTextResponse(await BodyReader().read(request, len(GOOD), math.inf))

        protocol, _, theirs = await accepted(RequestId(Problems(application(late))))
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


def test_nothing_is_written_for_who_has_gone() -> None:
    """Requests in a row outlive their client; the transport raises when it is written to then."""
    written: list[bytes] = []

    async def play() -> None:
        gate = asyncio.Event()

        async def late(request: Request) -> PlainTextResponse:
            await gate.wait()
            return await length(request)

        protocol, transport, theirs = await accepted(application(late))
        theirs.sendall(get() * 3)
        await asyncio.sleep(0.02)
        cycle = protocol.cycle
        transport.write = written.append  # type: ignore[method-assign, assignment]
        transport.abort()
        cycle.response_started = True
        cycle.transport.write(b"head")
        cycle.transport.write(b"body")
        gate.set()
        theirs.close()
        await asyncio.sleep(0.02)

    asyncio.run(play())
    assert written == []
