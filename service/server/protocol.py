"""A client's connection: uvicorn's protocol within our limits, so that nobody keeps it for nothing or floods it.

`process/serving.py` makes one for each connection; `refusals.py` has what it answers by itself. Until its request is at
work a connection always has a deadline. It overrides methods of `HttpToolsProtocol` as of uvicorn 0.54.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from functools import partial

import httptools
import structlog
from uvicorn.config import Config
from uvicorn.server import ServerState

from service import errors
from service.http.cycle import ANSWERED, Joined
from service.http.disconnect import EXTENSION, REFUSED, Connection
from service.http.door import Door
from service.http.piecewise import PiecewiseProtocol
from service.http.refusals import Refusal
from service.http.request_id import new_request_id
from service.server.deadline import Deadline
from service.server.heads import ambiguity, has_path, without_upgrade

_log = structlog.get_logger()


class Arriving(Enum):
    """What of a request is on its way."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class LimitedProtocol(PiecewiseProtocol):
    """One connection, from its first byte to its last."""

    def __init__(self, door: Door, config: Config, server_state: ServerState) -> None:
        super().__init__(door.share, config, server_state)
        self._door = door
        self._limits = door.limits
        self._connection = Connection()
        self._arrival = Deadline(self.loop, self._arrival_is_late)
        self._departure = Deadline(self.loop, self.evict)
        self._arriving = Arriving.NOTHING
        self._received = 0  # bytes of this head or, with its framing, of this body
        self._content = 0  # bytes of this body
        self._fault: Callable[[], errors.ServiceError] | None = None
        """Not the error itself: what was raised holds the frames it came through, and they hold this connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        if self._deaf:
            return transport.abort()
        self._door.connections.waits(self)
        return self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.connections.discard(self)
        self._arrival.end()
        self._departure.end()
        super().connection_lost(exc)
        # uvicorn leaves it to itself after a reset: for over a minute it would keep all this in memory.
        self._unset_keepalive_if_required()
        self._connection.lose()
        # Each request holds its connection, to tell it of its end. Let go of, they go without the collector.
        self.cycle = None  # type: ignore[assignment] # as uvicorn's own before the first
        self.pipeline.clear()

    def _expected(self) -> int:
        if self._arriving is not Arriving.BODY:
            return 0
        declared = next((int(value) for name, value in self.headers if name == b"content-length"), 0)
        return max(declared - self._content, 0)

    def _take(self, data: bytes | memoryview) -> None:
        if self._deaf:
            return
        if self._arriving is Arriving.NOTHING:
            # Also for the empty lines that the parser skips: without a deadline they would keep the connection.
            self._await_head()
        self._received += len(data)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserCallbackError as stopped:
            self._refuse(self._fault() if self._fault else self._ours(stopped))
        except httptools.HttpParserError:
            self._refuse(errors.MalformedHttp())
        except httptools.HttpParserUpgrade as wish:
            self._take_unchanged(bytes(data[wish.args[0] :]))
        else:
            self._weigh()

    def _take_unchanged(self, rest: bytes) -> None:
        """Read a head again without its wish for another protocol: a server may pass over it, the parser cannot.

        Some clients ask for HTTP/2 with their first request, whatever it is (Java's own does).
        """
        line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        head = without_upgrade(line, self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self._received = 0
        self._take(head + rest)

    def _weigh(self) -> None:
        limits = self._limits
        if self._arriving is Arriving.HEAD and self._received > limits.head_bytes:
            self._refuse(errors.HeadTooLarge())
        elif self._arriving is Arriving.BODY:
            if self._received > limits.framing_bytes + self._content * 3 // 2:
                self._refuse(errors.BodyInPieces())
            elif self.cycle.response_complete and self._content > limits.unwanted_bytes:
                self.evict()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: self._connection}  # type: ignore[dict-item] # ASGI lets servers add theirs
        if not self._answering():
            self._door.connections.waits(self)
        self._await_head()
        if len(self.pipeline) >= self._limits.pipelined:
            raise self._failed(
                errors.MalformedHttp, "too many requests in a row; read their answers before sending more"
            )

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.url_bytes:
            raise self._failed(errors.UriTooLong)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._arriving is Arriving.BODY:
            return  # a trailer: added to the headers, it could change what was read from them
        if len(self.headers) >= self._limits.headers:
            raise self._failed(errors.HeadTooLarge)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if (found := ambiguity(self.parser.get_http_version(), self.headers)) is not None:
            raise self._failed(errors.MalformedHttp, found)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise self._failed(errors.MalformedHttp, "this is no proxy: CONNECT leads nowhere")
            return
        if not has_path(self.url):
            raise self._failed(errors.MalformedHttp, "the request's target has no path")
        if not self._refused_early():
            super().on_headers_complete()
            Joined(self.cycle, self._leave)
        self._arriving = Arriving.BODY
        self._received = self._content = 0
        self._arrival.set(self._limits.body_seconds)

    def on_body(self, body: bytes) -> None:
        self._content += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._arriving = Arriving.NOTHING
        self._received = 0
        self._arrival.clear()
        if self._answering():
            self._door.connections.works(self)
        else:  # answered before all of it had come
            self._await_next()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._departure.set(self._limits.write_seconds)
            return
        if not self._answering():
            if self._deaf:
                self._departure.set(self._limits.linger_seconds)
            self._door.connections.waits(self)
        if self._flow.holding:
            self._take_held()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._door.connections.waits(self)
        self._departure.set(self._limits.write_seconds)

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._departure.clear()
            if self._answering():
                self._door.connections.works(self)

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing():
            self._departure.set(self._limits.write_seconds)

    def timeout_keep_alive_handler(self) -> None:
        self.evict()  # not `close`: that would wait for a client that does not even read

    def evict(self) -> None:
        """Close now, whatever is still unsent."""
        self._deaf = True
        if self.transport is not None:  # else it was let in a moment ago, and `connection_made` closes it
            self.transport.abort()

    def _leave(self) -> None:
        """End after this answer, which who is still sending must have the time to read."""
        if self._arriving is not Arriving.BODY or self.pipeline or self.transport.is_closing():
            return self.transport.close()
        self._deaf = True
        self._arrival.clear()
        return self.transport.write_eof()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        if self._arriving is Arriving.NOTHING:
            self._arriving = Arriving.HEAD
            self._arrival.set(self._limits.head_seconds)

    def _arrival_is_late(self) -> None:
        if self.flow.read_paused or (self._arriving is Arriving.HEAD and self._answering()):
            # It is we who keep it waiting, or its answer has yet to be sent.
            self._arrival.set(self._limits.head_seconds)
        elif self._arriving is Arriving.BODY and self._answering():
            self._refuse(errors.RequestTimeout())
        else:
            self.evict()

    def _refused_early(self) -> bool:
        """Answer here and now, where that is sure to be the right answer and nothing else is on its way.

        What goes the long way is held to what was found here: else it would find the room that was made meanwhile, and
        take all of it from those who are answered at once.
        """
        if self._answering() or self.parser.get_method() != b"POST":
            return False
        path, with_query, _ = self.url.partition(b"?")
        refusal = self._door.early(path, self.headers)
        if refusal is None:
            return False
        lasts = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        if with_query or not lasts or self.expect_100_continue or self.flow.write_paused:
            self.scope["extensions"][REFUSED] = refusal.error  # type: ignore[assignment] # ASGI lets servers add theirs
            return False
        self._answer(refusal)
        self.cycle = ANSWERED  # type: ignore[assignment] # uvicorn asks it for no more than what stands there
        return True

    def _answer(self, refusal: Refusal) -> None:
        self._door.on_refusal(refusal)
        self.transport.write(self._door.answers.to(refusal, self.server_state.default_headers))

    def _await_next(self) -> None:
        """Another request may come on this connection, and has its time for that."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _failed(self, fault: type[errors.ServiceError], *found: str) -> errors.ServiceError:
        """To be raised within the parser, which then stops and says only that it was stopped."""
        self._fault = partial(fault, *found)
        return self._fault()

    def _ours(self, stopped: Exception) -> errors.ServiceError:
        """What nobody raised on purpose: a fault of this code, which must not pass for the client's."""
        _log.error("fault in the protocol", exc_info=stopped)
        return errors.ServerFault()

    def _refuse(self, error: errors.ServiceError) -> None:
        """Read nothing more, and close when all that can be answered is answered."""
        self._deaf = True
        self._arrival.clear()
        if not self._answering():
            if self._arriving is Arriving.BODY:
                return self.evict()  # it has had its answer
            self._answer(Refusal(error, new_request_id()))
            self.transport.close()
            return self._departure.set(self._limits.write_seconds)
        self.cycle.keep_alive = False
        if self._arriving is Arriving.BODY:
            # Whoever reads this body answers: under its route, with its request's id, and once.
            self._connection.refusal = error
            self.cycle.message_event.set()
        return None
