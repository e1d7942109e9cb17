"""One keep-alive HTTP/1.1 connection that sends prepared bytes and reports a status: the client's whole hot path.

`load.py` opens as many as it needs. Client and server share the cores, so this does as little as possible: no request
is built while measuring, and no answer's body is kept.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httptools

NO_ANSWER = 0
"""In place of a status: the connection was lost, refused or closed, or the answer was no HTTP."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    port: int
    host: str = "127.0.0.1"


def post(path: str, document: Mapping[str, Any], *headers: str) -> bytes:
    """A complete POST request of a JSON document, as bytes."""
    body = json.dumps(document, ensure_ascii=False).encode()
    lines = (f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json", f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, *headers, "", "")).encode() + body


class Connection(asyncio.Protocol):
    """Opens itself at the first request, and again after it was lost."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._status: asyncio.Future[int] | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request and wait for the end of its answer: its status, or NO_ANSWER."""
        loop = asyncio.get_running_loop()
        try:
            if self._transport is None:
                await loop.create_connection(lambda: self, self._target.host, self._target.port)
        except OSError:
            return NO_ANSWER
        assert self._transport is not None
        self._status = loop.create_future()
        self._transport.write(request)
        return await self._status

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # what TCP gives
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()
            self._settle(NO_ANSWER)

    def on_message_complete(self) -> None:
        """The parser's callback: the answer is complete."""
        status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        self._settle(status)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._settle(NO_ANSWER)

    def _settle(self, status: int) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_result(status)
