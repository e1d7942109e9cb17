"""The HTTP protocol class without a socket or waiting; the application answers at once."""

import asyncio
import re
from functools import cache
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from uvicorn.server import ServerState

from service.http.body import BodyReader
from service.http.fast_path import application
from service.http.middleware import RequestMiddleware
from service.server.limits import PUBLIC
from service.server.protocol import LimitedProtocol, Port

BODY_BYTES = 1000
TURNS = 12
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})")


class _Transport(asyncio.Transport):
    """Keeps the written bytes. Reading continues unless it is paused."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_reading(self) -> bool:
        return not self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def write_eof(self) -> None: ...


async def _echo(request: Request) -> PlainTextResponse:
    body = await BodyReader().read(request, BODY_BYTES, asyncio.get_running_loop().time() + 5)
    return PlainTextResponse(str(len(body)))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def http(data: bytes) -> None:
    """Any bytes in two pieces get no 5xx, and the connection leaves no reference. The first byte gives the split."""
    _loop().run_until_complete(_feed(data))


async def _feed(data: bytes) -> None:
    errors: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: errors.append(context["exception"]))
    config = uvicorn.Config(RequestMiddleware(application(_echo)), log_config=None, ws="none", lifespan="off")
    port = Port(PUBLIC, 1, lambda _error, _request_id: None, lambda: None, lambda _seconds: None)
    protocol = LimitedProtocol(port, config=config, server_state=ServerState(), app_state={})
    transport = _Transport()
    protocol.connection_made(transport)
    cut = data[0] if data else 0
    for piece in (data[1 : 1 + cut], data[1 + cut :]):
        if piece and not transport.closed:
            protocol.data_received(piece)
            for _ in range(TURNS):
                await asyncio.sleep(0)
    protocol.connection_lost(None)
    for _ in range(TURNS):
        await asyncio.sleep(0)
    assert not errors, errors[0]
    assert not port.waiting, "the connection is forgotten"
    assert all(int(status) < 500 for status in _STATUS.findall(transport.written)), "no fault of ours"
