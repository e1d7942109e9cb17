"""One case: the bytes to send, with their timing, and the results allowed."""

import asyncio
import contextlib
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CLOSED = "closed"
"""Closed without a response."""
OPEN = "still open"
"""Neither answered nor closed in time: the connection is held open without need."""
STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")

Result = int | str


@dataclass(frozen=True, slots=True)
class Drip:
    """A piece sent again and again until the server closes the connection."""

    piece: bytes
    every_seconds: float


@dataclass(frozen=True, slots=True)
class Case:
    """`allowed`: final statuses, or CLOSED. `seconds`: the longest time allowed from the connection's start to that
    result."""

    name: str
    script: tuple[bytes | Drip, ...]
    allowed: frozenset[Result]
    seconds: float


@dataclass(frozen=True, slots=True)
class Played:
    case: Case
    result: Result
    seconds: float
    received: bytes

    @property
    def passed(self) -> bool:
        return self.result in self.case.allowed


async def play(port: int, case: Case) -> Played:
    """Send the script while reading; the result is the first final status, or that the connection was closed."""
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_send(writer, case.script))
    received = bytearray()
    result: Result = OPEN
    try:
        async with asyncio.timeout(case.seconds):
            result = await _result(reader, received)
    except TimeoutError:
        pass
    finally:
        sending.cancel()
        writer.transport.abort()
        await asyncio.gather(sending, return_exceptions=True)
    return Played(case, result, time.monotonic() - started, bytes(received))


def play_all(port: int, cases: Iterable[Case], *, at_once: int = 64) -> Sequence[Played]:
    """Every case, `at_once` at a time: most only wait for a time limit."""

    async def play_in_turn() -> Sequence[Played]:
        turns = asyncio.Semaphore(at_once)

        async def one(case: Case) -> Played:
            async with turns:
                return await play(port, case)

        return await asyncio.gather(*map(one, cases))

    return asyncio.run(play_in_turn())


def failures(played: Iterable[Played]) -> list[str]:
    return [f"{one.case.name}: {one.result}" for one in played if not one.passed]


async def _result(reader: asyncio.StreamReader, received: bytearray) -> Result:
    while True:
        try:
            data = await reader.read(65536)
        except ConnectionError:
            data = b""
        received += data
        final = [int(status) for status in STATUS.findall(received) if int(status) >= 200]
        if final:
            return final[0]
        if not data:
            return CLOSED


async def _send(writer: asyncio.StreamWriter, script: Sequence[bytes | Drip]) -> None:
    with contextlib.suppress(ConnectionError):
        for step in script:
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            while isinstance(step, Drip):
                writer.write(step.piece)
                await writer.drain()
                await asyncio.sleep(step.every_seconds)
