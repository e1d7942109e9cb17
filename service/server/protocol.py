"""uvicorn's HTTP/1.1 protocol with the limits that only the protocol can enforce (`limits.py`).

`LimitedProtocol` overrides only public methods of `HttpToolsProtocol`. `serve.py` creates one `Port` for each port.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service import errors
from service.http.disconnect import EXTENSION, Connection
from service.http.problems import raw_response
from service.http.request_id import new_request_id
from service.server.limits import ConnectionLimits

_UPGRADE_HEADERS = frozenset({b"upgrade", b"connection", b"http2-settings"})


@dataclass(frozen=True, slots=True)
class Port:
    """The shared state of one port's connections. Use from one event loop only.

    Args:
        max_connections: the limit of open connections; one more closes the connection that has waited longest for its
            client.
        on_refusal: called with the error and the request id of a request that is refused before the application.
        on_evict: called for each connection that is closed to admit a new one.
        on_lag: called ten times a second with the seconds by which the event loop was late.
    """

    limits: ConnectionLimits
    max_connections: int
    on_refusal: Callable[[errors.ServiceError, str], None]
    on_evict: Callable[[], None]
    on_lag: Callable[[float], None]
    waiting: "dict[LimitedProtocol, None]" = field(default_factory=dict)
    """Connections that wait for their client, the longest waiting first."""

    def close_overdue(self, now: float) -> None:
        """Close every connection whose client missed its deadline. `now`: the event loop's clock, in seconds."""
        for connection in [each for each in self.waiting if each.due <= now]:
            connection.abort()

    def evict_longest_waiting(self) -> bool:
        """Close the connection that has waited longest; False if all connections have a request in progress."""
        connection = next(iter(self.waiting), None)
        if connection is not None:
            connection.abort()
            self.on_evict()
        return connection is not None


class LimitedProtocol(HttpToolsProtocol):
    """One connection. While the connection waits for its client, it is in `Port.waiting`, with the deadline `due`."""

    def __init__(self, port: Port, **options: Any) -> None:
        super().__init__(**options)
        self.due = math.inf
        self._port, self._limits = port, port.limits
        self._state = Connection()
        self._reading: Literal["nothing", "head", "body"] = "nothing"
        self._received = self._content = 0
        """Bytes of the current head or body: as received, and without framing."""
        self._fault: errors.ServiceError | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        if len(self.connections) > self._port.max_connections and not self._port.evict_longest_waiting():
            self._refuse(errors.TooManyConnections())
        else:
            self._wait(self._limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._port.waiting.pop(self, None)
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()  # uvicorn leaves it running after a reset: it holds the request
        self._state.notify_lost()
        # Break the reference cycles: after a flood of connections the garbage collector would stop the event loop.
        self.cycle = None  # type: ignore[assignment] # as before the first request
        self.pipeline.clear()

    def abort(self) -> None:
        """Close the connection at once; unsent data is lost."""
        self._refused = True
        self._port.waiting.pop(self, None)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._reading == "nothing":
            self._reading = "head"
            if not self._in_progress():
                self._wait(self._limits.head_seconds)
        self._received += len(data)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parse_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(self._fault or errors.MalformedHttp())
        if self._reading == "head" and self._received > self._limits.head_bytes:
            self._refuse(errors.HeadTooLarge())
        if self._reading == "body" and self._received > self._limits.framing_bytes + self._content * 3 // 2:
            self._refuse(errors.BodyInPieces())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self._state}  # type: ignore[dict-item] # ASGI lets servers add theirs
        self._reading, self._content = "head", 0
        self._state.receiving = True
        if len(self.pipeline) >= self._limits.pipelined:
            self._fail(errors.MalformedHttp("too many requests in a row; read their responses before sending more"))

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.url_bytes:
            self._fail(errors.UriTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading == "body":
            return  # ignore a trailer: as a header, it could change a value that was already used
        super().on_header(name, value)
        self._content += len(name) + len(value)
        if len(self.headers) > self._limits.headers or self._content > self._limits.head_bytes:
            self._fail(errors.HeadTooLarge())

    def on_headers_complete(self) -> None:
        # Refuse a head that other parsers may read differently (request smuggling).
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        codings = [value for name, value in self.headers if name == b"transfer-encoding"]
        if self.parser.get_method() == b"CONNECT":
            self._fail(errors.MalformedHttp("this server is not a proxy: CONNECT is not supported"))
        if version not in ("1.0", "1.1"):
            self._fail(errors.MalformedHttp("only HTTP/1.1 and HTTP/1.0 are supported"))
        if hosts > 1 or (version == "1.1" and not hosts):
            self._fail(errors.MalformedHttp("a request has exactly one Host header"))
        if codings and (version == "1.0" or codings != [b"chunked"]):
            self._fail(errors.MalformedHttp("Transfer-Encoding must be chunked, once, and is not allowed in HTTP/1.0"))
        if self.parser.should_upgrade():
            return  # `_parse_without_upgrade` follows
        super().on_headers_complete()
        self._reading, self._received, self._content = "body", 0, 0
        self.due = math.inf  # the application has a deadline for the body

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._reading, self._received = "nothing", 0
        self._state.receiving = False
        if self._in_progress():
            self._port.waiting.pop(self, None)
        else:
            self._wait(self._limits.idle_seconds)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_progress():
            return  # pipelined requests follow
        if self._reading == "body" and self.expect_100_continue:
            self.transport.close()  # no 100 was sent: the next bytes may be the body or a new request
        if self.transport.is_closing() or self._reading == "body":
            self._wait(self._limits.closing_seconds)
        else:
            self._wait(self._limits.head_seconds if self._reading == "head" else self._limits.idle_seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait(self._limits.closing_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._in_progress() and self._reading != "body":
            self._port.waiting.pop(self, None)

    def timeout_keep_alive_handler(self) -> None:
        self.abort()  # `close` would wait for a client that does not read

    def _in_progress(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self, seconds: float) -> None:
        """Set the deadline for the client's next action."""
        self.due = self.loop.time() + seconds
        self._port.waiting.pop(self, None)
        self._port.waiting[self] = None

    def _parse_without_upgrade(self, rest: bytes) -> None:
        """Parse the head again without its Upgrade header: with the header, the parser would not read the body. A
        server may ignore an upgrade (RFC 9110, 7.8); Java's HTTP client sends one (to HTTP/2) with its first
        request."""
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [name + b": " + value for name, value in self.headers if name not in _UPGRADE_HEADERS]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            lines.append(b"connection: close")
        self.parser = httptools.HttpRequestParser(self)
        self._reading, self._received = "nothing", 0
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _fail(self, error: errors.ServiceError) -> None:
        """Stop the parser; `data_received` then refuses the request. The error itself is not raised: the frames of its
        traceback would keep this connection in memory (reference cycle)."""
        self._fault = error
        raise ValueError

    def _refuse(self, error: errors.ServiceError) -> None:
        """Stop reading and close the connection. Send this error before, unless earlier responses are pending (they are
        finished instead) or this request already has its response."""
        if self._refused:
            return
        self._refused, self._fault = True, None
        in_progress, in_body = self._in_progress(), self._reading == "body"
        if in_progress and (not in_body or self.pipeline or self.cycle.response_started):
            self.cycle.keep_alive = False
        elif in_body and not in_progress:
            self.abort()  # the response to this request is already sent
        else:
            if in_progress:  # the application gets `http.disconnect` in place of the rest of the body
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            request_id = new_request_id()
            self.transport.write(raw_response(error, request_id, self.server_state.default_headers))
            self.transport.write_eof()
            self._wait(self._limits.closing_seconds)
            self._port.on_refusal(error, request_id)
