"""The protocol by itself, on a real event loop and a real socket, with whatever bytes in whatever pieces."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from structlog.testing import capture_logs

from service.errors import Overloaded
from service.http.body import BodyReader
from service.http.early import Early, never
from service.http.fast_path import application
from service.http.middleware import Problems, RequestId
from service.http.piecewise import PIECE_BYTES
from service.http.refusals import Refusal
from service.http.request_id import Headers
from service.server.deadline import Deadline
from service.server.limits import PUBLIC
from service.share import Share
from tests.faults.accepted import accepted
from tests.faults.http_cases import GOOD, chunked, get, head, post
from tests.faults.wire import STATUS

LIMITS = replace(PUBLIC, head_seconds=0.3, body_seconds=0.3, write_seconds=0.3)
IDLE_SECONDS = 0.2
SECONDS = 20
BODY_BYTES = 1000
SOUND = (post(GOOD), chunked(GOOD, 2), get(), head("Content-Length: 2000"), get("Connection: Upgrade", "Upgrade: h2c"))

pieces = st.lists(st.one_of(st.sampled_from(SOUND), st.binary(max_size=40)), max_size=6).map(b"".join)


async def echo(request: Request) -> PlainTextResponse:
    loop = asyncio.get_running_loop()
    body = await BodyReader().read(request, BODY_BYTES, loop.time() + SECONDS)
    return PlainTextResponse(str(len(body)))


def full(_target: bytes, _headers: Headers) -> Refusal:
    return Refusal(Overloaded(1), "id-1")


async def exchange(parts: list[bytes], early: Early = never, share: Share | None = None) -> bytes:
    """What comes back for these parts, sent one after another, until the connection is closed."""
    app = RequestId(Problems(application(echo)))
    protocol, _, theirs = await accepted(app, LIMITS, early, IDLE_SECONDS, share)
    reader, writer = await asyncio.open_connection(sock=theirs)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(0)
    try:
        async with asyncio.timeout(SECONDS):
            received = await reader.read()
    except ConnectionError:
        received = b""
    finally:
        writer.transport.abort()
    async with asyncio.timeout(SECONDS):
        while protocol._door.connections:  # noqa: ASYNC110 - one that lingers learns of the end in a later turn
            await asyncio.sleep(0)
    return received


@settings(max_examples=40, deadline=None)
@given(pieces, st.lists(st.integers(0, 400), max_size=5), st.sampled_from([never, full]))
def test_any_bytes_cut_anywhere_come_to_an_end_without_a_5xx(raw: bytes, cuts: list[int], early: Early) -> None:
    """Answers that are no fault of ours, or none, and then the connection is closed: nothing hangs, nothing stays."""
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    received = asyncio.run(exchange([raw[start:end] for start, end in pairwise(places)], early))
    assert all(200 <= int(status) < 500 for status in STATUS.findall(received) if status != b"100")
    assert not received or received.startswith(b"HTTP/1.1 ")


def test_a_fault_of_ours_is_a_500_and_told_to_the_log() -> None:
    """The parser hides what stops it: taken for the client's, the fault would never be found."""

    def broken(_target: bytes, _headers: Headers) -> None:
        raise KeyError("a thing of the client's")

    with capture_logs() as lines:
        received = asyncio.run(exchange([post(GOOD) * 2], broken))
    assert STATUS.findall(received) == [b"500"]
    assert b'"code":"internal_error"' in received
    assert b"connection: close\r\n" in received
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("fault in the protocol", "error")
    assert isinstance(line["exc_info"].__context__, KeyError)


def test_the_same_bytes_in_any_pieces_get_the_same_answers() -> None:
    """Where the network cuts a request changes nothing."""
    raw = post(GOOD) + chunked(GOOD, 2) + get("Connection: Upgrade", "Upgrade: h2c") + post(GOOD, "Connection: close")
    for early, statuses in ((never, [b"200"] * 4), (full, [b"429", b"429", b"200", b"200"])):
        whole = STATUS.findall(asyncio.run(exchange([raw], early)))
        single = STATUS.findall(asyncio.run(exchange([bytes([byte]) for byte in raw], early)))
        assert whole == single == statuses


@pytest.mark.parametrize("one", [post(b" " * 900), chunked(b" " * 9, 100)], ids=["declared", "chunked"])
def test_what_is_more_than_a_turns_share_is_parsed_in_the_next_turns(one: bytes) -> None:
    """Nothing of it is lost, and the answers are the same."""
    raw = one * 20
    assert len(raw) > 4 * PIECE_BYTES
    whole, pressed = (asyncio.run(exchange([raw], share=Share(size))) for size in (len(raw), 1))
    assert STATUS.findall(pressed) == STATUS.findall(whole) == [b"200"] * 20


def test_a_share_is_for_one_turn_and_for_all() -> None:
    """Who comes when it is used up waits, and not for longer than the turn."""

    async def play() -> list[bool]:
        share = Share(100)
        found = []
        for _ in range(2):
            share.take(60)
            found.append(share.left <= 0)
            share.take(60)
            found.append(share.left <= 0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return found

    assert asyncio.run(play()) == [False, True] * 2


def test_a_deadline_that_moves_rings_once_and_at_its_last_place() -> None:
    """Moved on, moved back and cleared: only what was said last counts."""

    async def play() -> list[str]:
        rung: list[str] = []
        loop = asyncio.get_running_loop()
        moved, cleared = Deadline(loop, lambda: rung.append("moved")), Deadline(loop, lambda: rung.append("cleared"))
        moved.set(0.01)
        moved.set(30)
        cleared.set(0.01)
        cleared.clear()
        await asyncio.sleep(0.1)
        assert rung == []
        moved.set(0.01)
        await asyncio.sleep(0.1)
        moved.end()
        return rung

    assert asyncio.run(play()) == ["moved"]


def test_a_deadline_that_is_all_but_there_can_be_moved() -> None:
    """uvloop has plain handles for what is less than half a millisecond away, which do not tell when they ring."""

    async def play() -> list[str]:
        rung: list[str] = []
        near = Deadline(asyncio.get_running_loop(), lambda: rung.append("near"))
        near.set(0.0001)
        near.set(0.00001)
        near.set(0.02)
        await asyncio.sleep(0.1)
        return rung

    assert uvloop.run(play()) == ["near"]
