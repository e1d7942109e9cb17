"""A client that follows HTTP and distinguishes how a request can end: answered, refused, or lost.

`load.py` runs many of them. Requests are raw bytes, so that they may be malformed.
"""

import asyncio
import re
from dataclasses import dataclass

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
SECONDS = 60


class Refused(Exception):
    """The connection was refused: nothing was sent."""


class Lost(Exception):
    """The request was sent on an open connection, and no whole response came."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes


class Client:
    """One connection at a time, kept as long as the server keeps it: after `Connection: close`, or when an idle
    connection was closed, the next request opens a new one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> Reply:
        """Raises Refused or Lost."""
        async with asyncio.timeout(SECONDS):
            reader, writer = await self._connected()
            try:
                writer.write(request)
                reply, closes = await _reply(reader, bodiless=request.startswith(b"HEAD "))
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                self.close()
                raise Lost from error
        if closes:
            self.close()
        return reply

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is not None and self._reader.at_eof():
            self.close()
        if self._reader is None or self._writer is None:
            try:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            except ConnectionError as error:
                raise Refused from error
        return self._reader, self._writer


async def _reply(reader: asyncio.StreamReader, *, bodiless: bool) -> tuple[Reply, bool]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length and not bodiless else b""
    return Reply(int(head.split(b" ", 2)[1]), body), CLOSES.search(head) is not None
